package scripted_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/heraldpush/herald/apnstest/scripted"
)

// FuzzConnection sends whatever there may be behind the preface. The gateway has to
// live on, and to account for each push.
func FuzzConnection(f *testing.F) {
	seed := func(frames func(*http2.Framer)) {
		var out bytes.Buffer
		framer := http2.NewFramer(&out, nil)
		framer.AllowIllegalWrites = true
		frames(framer)
		f.Add(out.Bytes())
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range pushFields(phone, len(payload)) {
		if err := encoder.WriteField(field); err != nil {
			f.Fatal(err)
		}
	}
	push := func(framer *http2.Framer, id uint32) {
		// What is written to a buffer does not fail.
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
		_ = framer.WriteData(id, true, []byte(payload))
	}
	seed(func(framer *http2.Framer) {
		_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3})
		push(framer, 1)
		push(framer, 3)
		_ = framer.WriteSettingsAck()
		_ = framer.WriteWindowUpdate(0, 10)
		_ = framer.WriteWindowUpdate(3, 10)
		_ = framer.WriteRSTStream(3, http2.ErrCodeCancel)
	})
	seed(func(framer *http2.Framer) {
		_ = framer.WritePing(false, [8]byte{})
		_ = framer.WritePing(true, [8]byte{'g', 'o', 'a', 'w', 'a', 'y', 0, 1})
		push(framer, 2)
		push(framer, 1)
		_ = framer.WriteGoAway(0, http2.ErrCodeNo, nil)
		_ = framer.WriteRawFrame(99, 0xff, 1, []byte("unknown"))
	})
	f.Fuzz(func(t *testing.T, input []byte) {
		g := scripted.Config{Plain: true, Lenient: true}.New(t)
		g.Script(scripted.Script{Streams: 2, Steps: []scripted.Step{{Begun: 3, Do: scripted.GoAway{}}}})
		g.Reply(scripted.Refuse("BadTopic").Behind(1), scripted.Refuse("BadTopic"))
		nc, err := g.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write(append([]byte(http2.ClientPreface), input...)); err != nil {
			t.Fatal(err)
		}
		half, ok := nc.(interface{ CloseWrite() error })
		if !ok {
			t.Fatalf("a %T cannot be closed by halves", nc)
		}
		if err := half.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := nc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, nc); err != nil {
			t.Fatal(err)
		}
		if err := g.Await(t.Context(), func(c scripted.Counts) bool { return c.Closed == 1 }); err != nil {
			t.Fatal(err)
		}
		got, sum := g.Counts(), 0
		for _, n := range got.Fates {
			sum += n
		}
		if sum != got.Pushes || got.Fates[scripted.Arriving]+got.Fates[scripted.Waiting] != 0 || got.Processed != 0 {
			t.Errorf("got %+v", got)
		}
	})
}
