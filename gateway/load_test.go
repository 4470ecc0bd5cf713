package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/spool"
)

// TestManyPushes sends many pushes over one connection, 100 in flight, to
// devices that are connected. All are accepted; each device gets its own in
// their order, and the last one, but not those that a newer one overtook
// (docs/protocol/provider.md#storage).
func TestManyPushes(t *testing.T) {
	pushes, devices, inFlight := 10_000, 50, 100
	if raceEnabled || testing.Short() {
		pushes = 1_000
	}
	w := newWorld(t)
	var receiving sync.WaitGroup
	received := make([][]int, devices)
	tokens := make([]apns.DeviceToken, devices)
	for i := range devices {
		w.device = w.newDevice(t, apns.DeviceID(fmt.Sprintf("many %d", i)))
		tokens[i] = w.deviceToken(t, demo, apns.Sandbox)
		bell := spool.NewBell()
		in := w.attachWaking(t, bell, w.device, demo)
		last := pushes - devices + i
		receiving.Go(func() { received[i] = receiveUntil(t, in, bell, last) })
	}
	q := w.push(t)
	p := w.dial(t, dialing{})
	p.want(w.push(t).to("x"), refused(apns.BadDeviceToken)) // proves the connection
	p.settle()
	var ids []uint32
	for n := range pushes {
		one := *q
		one.to(tokens[n%devices]).carrying(fmt.Sprintf(`{"n":%d}`, n))
		ids = append(ids, p.send(&one))
		if len(ids) == inFlight {
			wantAccepted(t, p, ids[0])
			ids = ids[1:]
		}
	}
	for _, id := range ids {
		wantAccepted(t, p, id)
	}
	receiving.Wait()
	total := 0
	for i, got := range received {
		total += len(got)
		for j := range got {
			if got[j]%devices != i || j > 0 && got[j] <= got[j-1] {
				t.Fatalf("device %d received %v", i, got)
			}
		}
	}
	if store := w.spool.Stats(); store.Notifications != 0 {
		t.Errorf("left in the store: %d", store.Notifications)
	}
	t.Logf("%d pushes accepted, %d delivered, %d superseded", pushes, total, pushes-total)
}

func wantAccepted(t *testing.T, p *peer, id uint32) {
	t.Helper()
	if got := p.await(id).outcome(); got != accepted {
		t.Fatalf("stream %d: got %s, want %s", id, got, accepted)
	}
	delete(p.answers, id)
	delete(p.asked, id)
}

// receiveUntil takes what is delivered, up to the push with the number last.
func receiveUntil(t *testing.T, in *spool.Inbox, bell spool.Bell, last int) (numbers []int) {
	t.Helper()
	late := time.After(6 * patience)
	for {
		d, ok := in.Next()
		if !ok {
			select {
			case <-bell:
				continue
			case <-late:
				t.Errorf("push %d was not delivered; got %v", last, numbers)
				return numbers
			}
		}
		var doc struct{ N int }
		if err := json.Unmarshal(d.Notification.Payload, &doc); err != nil {
			t.Errorf("received %s: %v", d.Notification.Payload, err)
		}
		numbers = append(numbers, doc.N)
		if _, err := in.Ack(t.Context(), d.MessageID, spool.Delivered); err != nil {
			t.Errorf("acknowledging: %v", err)
		}
		if doc.N == last {
			return numbers
		}
	}
}

// player sends pushes that were encoded before, and reads no more of the
// answers than whether they are successes, so that it allocates nothing itself.
type player struct {
	tb       testing.TB
	conn     io.ReadWriter
	in       *bufio.Reader
	template []byte // a HEADERS and a DATA frame
	batch    []byte
	next     uint32
}

const (
	frameHeaderBytes = 9
	batchPushes      = 100
	pushIDBytes      = 36
)

// newPlayer connects a player and sends its first push.
func (w *world) newPlayer(tb testing.TB, d dialing, expiration string) *player {
	tb.Helper()
	env := apns.Sandbox
	if d.address == productionName {
		env = apns.Production
	}
	p := w.dial(tb, d)
	p.next = 3
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: sandboxName},
		{Name: ":path", Value: "/3/device/" + w.deviceToken(tb, demo, env).Hex(), Sensitive: true},
	}
	if d.certificate == nil {
		fields = append(fields, hpack.HeaderField{Name: "authorization", Value: "bearer " + w.team.token(tb, time.Now())})
	}
	fields = append(fields,
		hpack.HeaderField{Name: "apns-topic", Value: string(demo)}, hpack.HeaderField{Name: "apns-push-type", Value: "alert"},
		hpack.HeaderField{Name: "apns-priority", Value: "10"}, hpack.HeaderField{Name: "apns-expiration", Value: expiration})
	// Last the apns-id, as a literal without Huffman code (RFC 7541, 6.2.3), so
	// that its digits are at a fixed place.
	const name = "apns-id"
	id := "00000000" + apns.NewUUID()[8:] // no other player has it
	literal := append([]byte{0x10, byte(len(name))}, name...)
	literal = append(append(literal, byte(len(id))), id...)
	encode := func() []byte {
		p.block.Reset()
		for _, f := range fields {
			p.must(p.enc.WriteField(f))
		}
		p.block.Write(literal)
		var b bytes.Buffer
		fr := http2.NewFramer(&b, nil)
		p.must(fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block.Bytes(), EndHeaders: true}))
		p.must(fr.WriteData(1, true, []byte(sized(200))))
		return b.Bytes()
	}
	if _, err := p.nc.Write(encode()); err != nil { // it fills the table
		tb.Fatal(err)
	}
	for !p.answer(1).ended {
		p.read()
	}
	p.settle()
	pl := &player{tb: tb, conn: p.nc, in: bufio.NewReaderSize(p.nc, 64<<10), template: encode(), next: 3}
	for range batchPushes {
		pl.batch = append(pl.batch, pl.template...)
	}
	if err := p.nc.SetReadDeadline(time.Now().Add(10 * patience)); err != nil {
		tb.Fatal(err)
	}
	return pl
}

// play sends a batch of pushes, each with an ID of its own, and reads the
// answers.
func (p *player) play() {
	p.tb.Helper()
	second := frameHeaderBytes + int(p.template[1])<<8 + int(p.template[2])
	for i := range batchPushes {
		b := p.batch[i*len(p.template):][:len(p.template)]
		binary.BigEndian.PutUint32(b[5:], p.next)
		binary.BigEndian.PutUint32(b[second+5:], p.next)
		p.number(b[second-pushIDBytes:][:8])
		p.next += 2
	}
	if _, err := p.conn.Write(p.batch); err != nil {
		p.tb.Fatal(err)
	}
	for answers := 0; answers < batchPushes; {
		h, err := p.in.Peek(frameHeaderBytes)
		if err != nil {
			p.tb.Fatal(err)
		}
		length := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
		if http2.FrameType(h[3]) == http2.FrameHeaders {
			if !http2.Flags(h[4]).Has(http2.FlagHeadersEndStream) {
				p.tb.Fatal("a push was refused")
			}
			answers++
		}
		if _, err := p.in.Discard(frameHeaderBytes + length); err != nil {
			p.tb.Fatal(err)
		}
	}
}

// number writes the number of the push in hex.
func (p *player) number(dst []byte) {
	const digits = "0123456789abcdef"
	for i := range dst {
		dst[i] = digits[p.next>>(4*(7-i))&15]
	}
}

// maxAllocsPerPush are the limits of allocations for one accepted push, on all of
// its road: TLS and parsing, the gateway, portal, registry, and the spool with a
// store in memory for a device that is away. The copy of what is stored is one;
// the rest is for a batch, or for a repeat that is remembered.
var maxAllocsPerPush = map[string]float64{"0": 0.3, "4000000000": 1.5} // by expiration

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	limits := gateway.ProductionLimits()
	limits.DeviceBurst = 1_000_000
	w := newWorldWith(t, options{limits: limits, immediate: true})
	for _, mode := range []struct {
		name string
		dialing
	}{
		{"provider token", dialing{}},
		{"certificate", dialing{certificate: w.pushCertificate(t, demo, credential.PushUniversal)}},
		{"production", dialing{address: productionName}},
	} {
		for expiration, limit := range maxAllocsPerPush {
			p := w.newPlayer(t, mode.dialing, expiration)
			const batches = 50
			for range 5 {
				p.play() // buffers grow
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range batches {
				p.play()
			}
			runtime.ReadMemStats(&after)
			got := float64(after.Mallocs-before.Mallocs) / (batches * batchPushes)
			t.Logf("%s, expiration %s: %.2f allocations, %.0f bytes a push", mode.name, expiration, got, float64(after.TotalAlloc-before.TotalAlloc)/(batches*batchPushes))
			if got > limit {
				t.Errorf("%s, expiration %s: allocations a push: got %.2f, want at most %v", mode.name, expiration, got, limit)
			}
		}
	}
}

func BenchmarkPush(b *testing.B) {
	w := newWorldWith(b, options{immediate: true})
	for _, mode := range []struct {
		name string
		dialing
	}{
		{"provider token", dialing{}},
		{"certificate", dialing{certificate: w.pushCertificate(b, demo, credential.PushUniversal)}},
	} {
		for name, expiration := range map[string]string{"not stored": "0", "stored": "4000000000"} {
			b.Run(mode.name+", "+name, func(b *testing.B) {
				p := w.newPlayer(b, mode.dialing, expiration)
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += batchPushes {
					p.play()
				}
			})
		}
	}
}
