package courier_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/registry"
	"github.com/heraldpush/herald/spool"
	"github.com/heraldpush/herald/store/memory"
	"github.com/heraldpush/herald/wire"
)

// text and number write protobuf fields as a device does that does not share our
// codec.
func text[T ~string | ~[]byte](field uint64, parts ...T) []byte {
	var value []byte
	for _, p := range parts {
		value = append(value, p...)
	}
	b := binary.AppendUvarint(binary.AppendUvarint(nil, field<<3|2), uint64(len(value)))
	return append(b, value...)
}

func number(field, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, field<<3), v)
}

// rawID returns the bytes that a channel ID stands for.
func rawID(tb testing.TB, id apns.ChannelID) []byte {
	tb.Helper()
	b, err := base64.StdEncoding.DecodeString(string(id))
	must(tb, err)
	return b
}

// subscribe returns the field by which an app follows a channel.
func subscribe(tb testing.TB, id apns.ChannelID, more ...[]byte) []byte {
	tb.Helper()
	return text(2, text(1, rawID(tb, id)), bytes.Join(more, nil))
}

// app returns what is said of the channels of an app.
func app(topic apns.Topic, channels ...[]byte) []byte {
	return text(2, text(1, string(topic)), bytes.Join(channels, nil))
}

// list returns a request with what it says of apps.
func (d *rawDevice) list(id uint32, full bool, sequence uint64, apps ...[]byte) []byte {
	kind := uint64(0)
	if full {
		kind = 1
	}
	message := slices.Concat(number(1, 1), bytes.Join(apps, nil), number(3, kind), number(4, sequence))
	return frame(wire.CommandChannels, item(1, u32(id)), item(2, message), item(3, []byte(d.base)))
}

// wantAnswer takes the answer to a request. A message may come before it: that is
// taken later.
func (d *rawDevice) wantAnswer() map[uint8][]byte {
	d.t.Helper()
	synctest.Wait()
	for range len(d.frames) {
		f := <-d.frames
		if f.Command == wire.CommandChannels {
			return parseItems(d.t, f)
		}
		d.frames <- f
	}
	d.t.Fatal("there is no answer")
	return nil
}

// wantChannels takes the answer to a request, and checks what it says.
func (d *rawDevice) wantChannels(id uint32, apps ...[]byte) {
	d.t.Helper()
	got := d.wantAnswer()
	if want := slices.Concat(apps...); !bytes.Equal(got[2], want) {
		d.t.Errorf("answer says %x, want %x", got[2], want)
	}
	if !bytes.Equal(got[1], u32(id)) || string(got[3]) != string(d.base) || !bytes.Equal(got[4], []byte{0}) || len(got) != 4 {
		d.t.Errorf("answer is %x, want 1, 3 and 4 to be of request %d, accepted", got, id)
	}
}

// said returns what an answer or update says of an app, and of a channel.
func said(topic apns.Topic, channels ...[]byte) []byte {
	return text(1, text(1, string(topic)), bytes.Join(channels, nil))
}

func saidOf(tb testing.TB, id apns.ChannelID, status uint64, more ...[]byte) []byte {
	tb.Helper()
	return text(2, text(1, rawID(tb, id)), number(2, status), bytes.Join(more, nil))
}

// The channels of tests are of the team's app, in the sandbox.
var channelOwner = registry.ChannelOwner{App: apnstest.Topic, Environment: apns.Sandbox, Term: 1}

func (s *service) newChannel(p apns.StoragePolicy) apns.ChannelID {
	s.t.Helper()
	c, err := s.registry.CreateChannel(s.t.Context(), channelOwner, p)
	must(s.t, err)
	return c.ID
}

// broadcast publishes a payload, and returns its checkpoint.
func (s *service) broadcast(id apns.ChannelID, p apns.StoragePolicy, payload string) uint64 {
	s.t.Helper()
	n := apns.Notification{
		Topic: apnstest.Topic + ".push-type.liveactivity", PushType: apns.PushTypeLiveActivity, Payload: apns.Payload(payload),
	}
	if p == apns.NoMessageStored {
		n.Expiration = apns.DoNotStore
	}
	r, err := s.spool.Publish(s.t.Context(), id, p, n)
	must(s.t, err)
	return uint64(r.Timestamp)
}

// wantMessage takes a message of a channel, and acknowledges it.
func (d *rawDevice) wantMessage(topic apns.Topic, id apns.ChannelID, checkpoint uint64, payload string, flags uint8) {
	d.t.Helper()
	got := d.wantPayload(apns.Notification{Payload: apns.Payload(payload)}, flags)
	hash := topic.Hash()
	for item, want := range map[uint8][]byte{
		1: []byte(d.base), 2: hash[:], 6: binary.BigEndian.AppendUint64(nil, checkpoint), 15: []byte(d.base),
		29: slices.Concat(text(1, rawID(d.t, id)), number(2, checkpoint)),
	} {
		if !bytes.Equal(got[item], want) {
			d.t.Errorf("item %d of the message is %x, want %x", item, got[item], want)
		}
	}
	d.ack(got, wire.AckOK)
}

// TestChannels follows channels from the request to the message, as a strict
// device does it that does not share our codec.
func TestChannels(t *testing.T) {
	bubble(t, func(s *service) {
		const stored, forgotten = apns.MostRecentMessageStored, apns.NoMessageStored
		const activity = alertTopic + ".push-type.liveactivity"
		kept, fleeting, other := s.newChannel(stored), s.newChannel(forgotten), s.newChannel(stored)
		first := s.broadcast(kept, stored, `{"n":1}`)
		s.broadcast(fleeting, forgotten, `{"n":"lost"}`)

		id := s.newIdentity()
		d := s.login(id, "")
		d.ready(alertTopic, activity)
		d.send(d.list(7, true, 1,
			app(alertTopic, subscribe(s.t, kept, number(9, 1)), subscribe(s.t, "AQID")),
			app(activity, subscribe(s.t, fleeting, number(2, 5), text(3, "attribute"))),
			app("com.example.other", subscribe(s.t, other)),
			app(voipTopic, subscribe(s.t, other)),
			app("", subscribe(s.t, other)),
		))
		d.wantChannels(7,
			said(alertTopic, saidOf(s.t, kept, 1), saidOf(s.t, "AQID", 0)),
			said(activity, saidOf(s.t, fleeting, 1, number(3, 5))),
			said("com.example.other", saidOf(s.t, other, 0)),
			said(voipTopic, saidOf(s.t, other, 0)),
			text(1, saidOf(s.t, other, 0)),
		)
		d.wantMessage(alertTopic, kept, first, `{"n":1}`, 3)
		d.wantMessage(activity, fleeting, s.broadcast(fleeting, forgotten, `{"n":2}`), `{"n":2}`, 0)
		second := s.broadcast(kept, stored, `{"n":3}`)
		d.wantMessage(alertTopic, kept, second, `{"n":3}`, 0)
		s.broadcast(other, stored, `{"n":"not followed"}`)
		d.wantNothing()
		d.close()

		third := s.broadcast(kept, stored, `{"n":4}`)
		d = s.login(id, d.base)
		d.ready(alertTopic)
		d.wantNothing() // until it says what it follows
		d.send(d.list(1, true, 0, app(alertTopic, subscribe(s.t, kept, number(2, second)))))
		d.wantChannels(1, said(alertTopic, saidOf(s.t, kept, 1, number(3, second))))
		got := d.wantPayload(apns.Notification{Payload: apns.Payload(`{"n":4}`)}, 3)
		d.ack(got, wire.AckUnknownTopic) // an old checkpoint, it says
		d.wantNothing()

		// It does not mean that the app is gone.
		token := d.token(alertTopic)
		_, err := s.registry.Resolve(s.t.Context(), token, alertTopic, apns.Sandbox)
		must(s.t, err)

		for _, tt := range []struct {
			how   string
			field []byte
			want  bool
		}{
			{"with the checkpoint", number(2, third), false},
			{"with an earlier one", number(2, third-1), true},
			{"without any", nil, true},
			{"with a replay of one", number(4, 1), true},
			{"with a replay of many", number(4, 100), true},
			{"with a replay of none", number(4, 0), false},
			{"with a checkpoint that is none", number(2, 1<<64-1), false},
		} {
			d.send(d.list(2, true, 0, app(alertTopic, subscribe(s.t, kept, tt.field))))
			d.wantAnswer()
			if tt.want {
				d.wantMessage(alertTopic, kept, third, `{"n":4}`, 3)
			}
			d.wantNothing()
		}
	})
}

// TestChannelsDelta proves that changes add up, and that the device is asked for
// all of it where one is missing.
func TestChannelsDelta(t *testing.T) {
	bubble(t, func(s *service) {
		const policy = apns.NoMessageStored
		one, two := s.newChannel(policy), s.newChannel(policy)
		d := s.login(s.newIdentity(), "")
		d.ready(alertTopic)
		wantResend := func() {
			s.t.Helper()
			if got := d.want(wire.CommandChannelUpdate); !bytes.Equal(got[2], []byte{0x12, 2, 8, 0}) || string(got[3]) != string(d.base) || len(got[4]) != 8 {
				s.t.Errorf("update is %x, want one that asks for all", got)
			}
		}
		step := func(name string, full bool, sequence uint64, resend bool, change []byte, follows ...apns.ChannelID) {
			s.t.Helper()
			d.send(d.list(uint32(sequence), full, sequence, change))
			d.wantAnswer()
			if resend {
				wantResend()
			}
			for _, id := range []apns.ChannelID{one, two} {
				checkpoint := s.broadcast(id, policy, `{}`)
				if slices.Contains(follows, id) {
					d.wantMessage(alertTopic, id, checkpoint, `{}`, 0)
				}
			}
			d.wantNothing()
			if s.t.Failed() {
				s.t.Fatalf("in step %q", name)
			}
		}
		unsubscribe := func(id apns.ChannelID) []byte { return text(3, text(1, rawID(s.t, id))) }
		step("a change before all", false, 1, true, app(alertTopic, subscribe(s.t, one)), one)
		step("all", true, 2, false, app(alertTopic, subscribe(s.t, two)), two)
		step("one more", false, 3, false, app(alertTopic, subscribe(s.t, one)), one, two)
		step("one less", false, 4, false, app(alertTopic, unsubscribe(two)), one)
		step("with a gap", false, 6, true, app(alertTopic, subscribe(s.t, two), unsubscribe(one)), two)
		step("without a number", false, 0, false, app(alertTopic, subscribe(s.t, one)), one, two)
		step("nothing", true, 9, false, nil)
	})
}

// TestChannelsEnd proves that a device is told when a channel ends, by itself or
// with the capability of its app.
func TestChannelsEnd(t *testing.T) {
	bubble(t, func(s *service) {
		const policy = apns.MostRecentMessageStored
		deleted, switched := s.newChannel(policy), s.newChannel(policy)
		id := s.newIdentity()
		d, idle := s.login(id, ""), s.login(s.newIdentity(), "")
		d.ready(alertTopic)
		idle.ready(alertTopic)
		d.send(d.list(1, true, 0, app(alertTopic, subscribe(s.t, deleted), subscribe(s.t, switched))))
		d.wantAnswer()
		wantEnd := func(update uint32, gone apns.ChannelID) {
			s.t.Helper()
			got := d.want(wire.CommandChannelUpdate)
			if want := said(alertTopic, saidOf(s.t, gone, 0)); !bytes.Equal(got[2], want) || !bytes.Equal(got[1], u32(update)) {
				s.t.Errorf("update is %x, want number %d with %x", got, update, want)
			}
		}
		must(s.t, s.registry.DeleteChannel(s.t.Context(), channelOwner, deleted))
		s.spool.EndChannel(deleted)
		wantEnd(1, deleted)
		s.broadcast(deleted, policy, `{}`)
		d.wantNothing()

		_, err := s.portal.SetBroadcast(s.t.Context(), apnstest.Topic, false)
		must(s.t, err)
		wantEnd(2, switched)
		for _, on := range []bool{false, true} {
			_, err := s.portal.SetBroadcast(s.t.Context(), apnstest.Topic, on)
			must(s.t, err)
			synctest.Wait()
			d.send(d.list(2, true, 0, app(alertTopic, subscribe(s.t, deleted), subscribe(s.t, switched))))
			d.wantChannels(2, said(alertTopic, saidOf(s.t, deleted, 0), saidOf(s.t, switched, 0)))
		}
		idle.wantNothing()
	})
}

// TestChannelsRefused proves what becomes of requests that can not be.
func TestChannelsRefused(t *testing.T) {
	bubble(t, func(s *service) {
		d := s.login(s.newIdentity(), "")
		d.ready(alertTopic)
		d.send(frame(wire.CommandChannels, item(1, u32(1)), item(2, []byte{8, 1}), item(3, make([]byte, 32))))
		d.wantNothing() // of a device that is not connected here

		many := make([][]byte, 1001)
		for i := range many {
			many[i] = subscribe(s.t, s.newChannel(apns.NoMessageStored))
		}
		d.send(d.list(1, true, 0, app(alertTopic, many...)))
		got := d.wantAnswer()
		if !bytes.Equal(got[4], []byte{2}) || !bytes.Equal(got[5], u32(3600)) || len(got[2]) != 0 {
			s.t.Errorf("too many: got %x, want status 2, again in an hour", got)
		}
		d.send(d.list(2, true, 0, app(alertTopic, many[:1000]...)))
		if got := d.wantAnswer(); !bytes.Equal(got[4], []byte{0}) {
			s.t.Errorf("as many as may be: got status %x, want 0", got[4])
		}

		d.send(frame(wire.CommandChannels, item(1, u32(1)), item(2, []byte{0x12, 9}), item(3, []byte(d.base))))
		d.wantClosed(0)
	})
}

var errChannels = errors.New("disk on fire")

// darkRegistry and darkSpool are stores in which channels, and messages, cannot be
// looked up.
type (
	darkRegistry struct{ registry.Store }
	darkSpool    struct{ spool.Store }
)

func (darkRegistry) Channel(context.Context, registry.ChannelOwner, apns.ChannelID) (registry.Channel, error) {
	return registry.Channel{}, errChannels
}

func (darkSpool) Message(context.Context, apns.ChannelID) (spool.Message, bool, error) {
	return spool.Message{}, false, errChannels
}

// TestChannelsFault proves that a fault of ours has the device ask again, and
// does not tell it that its channels are gone.
func TestChannelsFault(t *testing.T) {
	for name, with := range map[string]parts{
		"registry": {registry: darkRegistry{memory.NewRegistry()}},
		"spool":    {spool: darkSpool{memory.NewSpool(10)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logs logbook
				with.log = logs.handler()
				s, _ := assemble(t, with)
				team, err := s.portal.CreateTeam(t.Context(), "Team")
				must(t, err)
				_, err = s.portal.RegisterApp(t.Context(), team.ID, apnstest.Topic, "App")
				must(t, err)
				_, err = s.portal.SetBroadcast(t.Context(), apnstest.Topic, true)
				must(t, err)
				d := s.login(s.newIdentity(), "")
				d.ready(alertTopic)
				d.send(d.list(1, true, 0, app(alertTopic, subscribe(t, s.newChannel(apns.MostRecentMessageStored)))))
				got := d.wantAnswer()
				if !bytes.Equal(got[4], []byte{1}) || !bytes.Equal(got[5], u32(30)) || len(got[2]) != 0 {
					t.Errorf("got %x, want status 1, again in 30 seconds", got)
				}
				logs.wantErrors(t, 1)
			})
		})
	}
}
