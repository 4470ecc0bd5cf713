package courier_test

import (
	"encoding/hex"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/wire"
)

// vectors are frames of devices, good and bad.
var vectors = []string{
	"0780000000", "0700000003010020", "0c00000000", "ff00000000", "0900000000",
	"090000003a010020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f020014a003f1da17993ee51f2b3ceef6c6153afa8f3ec2",
	"110000003a020014a003f1da17993ee51f2b3ceef6c6153afa8f3ec2010020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	"0b0000000b080001000400040000002a", "0b0000000b0800010204000400000001",
	"0c000000290100045769466902000431372e3003000632314133323904000a6950686f6e6531352c320500023130",
	"1400000004010001011400000004010001020f00000005010002ffff", "130000000701000400000258",
	"0a0000000704000400000001", "070000000402000102", "07000000040200010107",
}

// FuzzFrames has a device send anything, before and after it has identified
// itself. Whatever it is, the courier goes on: the next device is served, and
// no goroutine is left, for otherwise the bubble does not end.
func FuzzFrames(f *testing.F) { fuzzFrames(f, wire.ALPNSecurityV3) }

// FuzzExtensions is the same for a device that negotiated the extensions.
func FuzzExtensions(f *testing.F) {
	for _, v := range []string{
		"0b0000001208000100040004000000ffc8000400000001", "0b00000012080001000400040000000ac8000400000002",
		"0c0000000606000339303022000000000b00000000", "1700000007c800040000003c",
	} {
		b, err := hex.DecodeString(v)
		must(f, err)
		f.Add(true, b)
	}
	fuzzFrames(f, wire.ALPNHerald)
}

func fuzzFrames(f *testing.F, protocol string) {
	f.Helper()
	for _, v := range vectors {
		b, err := hex.DecodeString(v)
		must(f, err)
		f.Add(true, b)
		f.Add(false, b)
	}
	f.Fuzz(func(t *testing.T, after bool, sent []byte) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := assemble(t, parts{})
			id := s.newIdentity()
			d := s.openUnread(hello{protocols: []string{protocol}})
			if after {
				d.send(id.connect(t, time.Now(), ""))
				synctest.Wait()
				hash := alertTopic.Hash()
				d.send(frame(wire.CommandFilter, item(1, []byte(s.baseToken(id))), item(2, hash[:])))
				synctest.Wait()
				s.offer(id.id, alert("hello")) // something to acknowledge
			}
			d.start()
			_, _ = d.conn.Write(sent) // it fails if an early part ended the connection
			synctest.Wait()
			// In time the connection ends, whatever was sent.
			ended := time.After(longest)
			for open := true; open; {
				select {
				case _, open = <-d.frames:
				case <-ended:
					t.Fatal("the connection has not ended")
				}
			}
			s.login(s.newIdentity(), "").ready()
		})
	})
}

// longest is how long a connection can last on which nothing more is sent.
const longest = 2*wire.MaxKeepAliveInterval + time.Hour
