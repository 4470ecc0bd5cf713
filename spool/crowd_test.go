package spool_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// TestCrowd has providers and devices of which the connections come and go do
// their work all at once, and proves that for each device and topic the newest
// notification arrives, that the store is empty in the end, and that what a
// device sees again is the same.
func TestCrowd(t *testing.T) {
	const devices, topics, rounds = 6, 3, 60
	r := open(t, spool.Config{Window: 2, MaxOffers: 1 << 20})
	var filter spool.Filter
	for topic := range topics {
		filter.Enabled = append(filter.Enabled, apns.TopicHash{byte(topic)})
	}

	var providers, phones sync.WaitGroup
	providersDone := make(chan struct{})
	for d := apns.DeviceOrdinal(1); d <= devices; d++ {
		for topic := range topics {
			providers.Go(func() {
				for i := range rounds {
					a := to(d)
					a.Topic = filter.Enabled[topic]
					n := notification(strconv.Itoa(i), apns.PriorityImmediate, apns.Expiration{})
					if i%7 == 0 {
						n.Priority = apns.PriorityConserve
					}
					if i%5 == 0 {
						n.Expiration = apns.DoNotStore
					}
					if i == rounds-1 {
						n.Expiration = apns.Expiration{}
					}
					if _, err := r.Offer(t.Context(), a, deviceToken(d), n); err != nil {
						t.Errorf("offer: %v", err)
					}
				}
			})
		}
		phones.Go(func() {
			p := phone{room: r, device: d, filter: filter, seen: map[spool.Timestamp]string{}, newest: map[apns.TopicHash]int{}}
			for round := 0; !p.has(topics, rounds-1); round++ {
				select {
				case <-providersDone:
					round += 1000 // the last connections are long
				default:
				}
				if err := p.connect(1 + round); err != nil {
					t.Errorf("device %d: %v", d, err)
					return
				}
			}
		})
	}
	providers.Wait()
	close(providersDone)
	phones.Wait()
	r.stored(0)
}

// phone is a device, and what it has seen.
type phone struct {
	*room
	device apns.DeviceOrdinal
	filter spool.Filter
	seen   map[spool.Timestamp]string // topic and payload
	newest map[apns.TopicHash]int     // acknowledged
}

func (p *phone) has(topics, newest int) bool {
	n := 0
	for _, v := range p.newest {
		if v == newest {
			n++
		}
	}
	return n == topics
}

// connect attaches, takes some notifications, acknowledges most of them, and
// goes.
func (p *phone) connect(most int) error {
	bell := spool.NewBell()
	in, err := p.Attach(p.t.Context(), p.device, apns.Production, bell)
	if err != nil {
		return err
	}
	defer in.Detach()
	if rand.IntN(8) == 0 {
		return nil
	}
	if _, err := in.SetFilter(p.t.Context(), p.filter); err != nil {
		return err
	}
	for taken := 0; taken < most; {
		select {
		case <-bell:
		case <-time.After(10 * time.Millisecond):
			return nil
		}
		for {
			d, ok := in.Next()
			if !ok {
				break
			}
			taken++
			if err := p.see(d); err != nil {
				return err
			}
			if most < 1000 && rand.IntN(4) == 0 {
				continue // never acknowledged
			}
			if _, err := in.Ack(p.t.Context(), d.MessageID, spool.Delivered); err != nil {
				return err
			}
			n, err := strconv.Atoi(string(d.Notification.Payload))
			if err != nil {
				return err
			}
			p.newest[d.Address.Topic] = max(p.newest[d.Address.Topic], n)
		}
	}
	return nil
}

// see compares the notification with what was seen under its timestamp before.
func (p *phone) see(d spool.Delivery) error {
	what := fmt.Sprintf("%v %s", d.Address.Topic, d.Notification.Payload)
	if before, ok := p.seen[d.Timestamp]; ok && before != what {
		return fmt.Errorf("timestamp %d names %s and %s", d.Timestamp, before, what)
	}
	p.seen[d.Timestamp] = what
	return nil
}
