package courier_test

import (
	"crypto"
	"encoding/binary"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/wire"
)

// foreignIdentity is a device of another service.
func foreignIdentity(tb testing.TB) identity {
	tb.Helper()
	const id = apns.DeviceID("eabeae54-14a8-41e5-b60b-1697f925ec7b")
	valid := credential.Validity{NotBefore: time.Now().Add(-time.Minute).UTC().Truncate(time.Second), NotAfter: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
	rootKey, issuerKey, key := newECKey(tb), newECKey(tb), newECKey(tb)
	root, err := credential.NewRoot("Other Root Authority", rootKey, valid)
	must(tb, err)
	profile := credential.IntermediateProfile{Name: "Herald Device Authority", Purpose: credential.ForDevices}
	issuer, err := credential.Authority{Certificate: root, Key: rootKey}.IssueIntermediate(profile, issuerKey.Public(), valid)
	must(tb, err)
	cert, err := credential.Authority{Certificate: issuer, Key: issuerKey}.IssueDevice(id, key.Public(), valid)
	must(tb, err)
	return identity{key: key, chain: [][]byte{cert.Raw, issuer.Raw, root.Raw}, id: id}
}

// TestRefused checks all ways in which a Connect does not prove who the device
// is.
func TestRefused(t *testing.T) {
	// signed returns a Connect whose nonce and signature were changed.
	signed := func(t *testing.T, id identity, change func(nonce, signature *[]byte)) []byte {
		t.Helper()
		n := newNonce(t, time.Now())
		signature, err := n.Sign(id.key)
		must(t, err)
		nonce := n[:]
		change(&nonce, &signature)
		return id.connectWith("", nonce, signature)
	}
	for _, tt := range []struct {
		name    string
		key     func(*testing.T) crypto.Signer // nil means P-256
		connect func(t *testing.T, s *service, id identity) []byte
	}{
		{"bad signature", nil, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			return signed(t, id, func(_, signature *[]byte) { (*signature)[len(*signature)-1] ^= 1 })
		}},
		{"changed nonce", nil, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			return signed(t, id, func(nonce, _ *[]byte) { (*nonce)[16] ^= 1 })
		}},
		{"prefix of RSA before ECDSA", nil, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			return signed(t, id, func(_, signature *[]byte) { (*signature)[1] = 1 })
		}},
		{"prefix of ECDSA before RSA", rsaSigner, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			return signed(t, id, func(_, signature *[]byte) { (*signature)[1] = 3 })
		}},
		{"prefix 01 02", rsaSigner, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			return signed(t, id, func(_, signature *[]byte) { (*signature)[1] = 2 })
		}},
		{"truncated signature", rsaSigner, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			return signed(t, id, func(_, signature *[]byte) { *signature = (*signature)[:len(*signature)-1] })
		}},
		{"signature of one byte", nil, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			return signed(t, id, func(_, signature *[]byte) { *signature = (*signature)[:1] })
		}},
		{"nonce of 16 bytes", nil, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			return signed(t, id, func(nonce, _ *[]byte) { *nonce = (*nonce)[:16] })
		}},
		{"nonce for another service", nil, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			n := newNonce(t, time.Now())
			n[0] = 1
			signature, err := n.Sign(id.key)
			must(t, err)
			return id.connectWith("", n[:], signature)
		}},
		{"no nonce", nil, func(_ *testing.T, _ *service, id identity) []byte {
			return frame(wire.CommandConnect, item(2, []byte{1}), item(12, id.chain[0]))
		}},
		{"no certificate", nil, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			id.chain = nil
			return id.connect(t, time.Now(), "")
		}},
		{"no X.509", nil, func(t *testing.T, _ *service, id identity) []byte {
			t.Helper()
			id.chain = [][]byte{[]byte("certificate")}
			return id.connect(t, time.Now(), "")
		}},
		{"replayed nonce", nil, func(t *testing.T, s *service, id identity) []byte {
			t.Helper()
			connect := id.connect(t, time.Now(), "")
			first := s.open(hello{})
			first.send(connect)
			first.wantAccepted()
			first.close()
			time.Sleep(14 * time.Minute)
			return connect
		}},
		{"certificate of another authority", nil, func(t *testing.T, _ *service, _ identity) []byte {
			t.Helper()
			return foreignIdentity(t).connect(t, time.Now(), "")
		}},
		{"base token of another device", nil, func(t *testing.T, s *service, id identity) []byte {
			t.Helper()
			other := s.login(s.newIdentity(), "")
			return id.connect(t, time.Now(), other.base)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var key crypto.Signer = newECKey(t)
			if tt.key != nil {
				key = tt.key(t)
			}
			bubble(t, func(s *service) {
				t := s.t
				connect := tt.connect(t, s, s.activate(key))
				d := s.open(hello{})
				d.send(connect)
				d.wantRefused()
			})
		})
	}
}

func rsaSigner(t *testing.T) crypto.Signer { t.Helper(); return newRSAKey(t) }

// TestProviderIsNoDevice checks that a push certificate opens no connection,
// though the same root has signed it.
func TestProviderIsNoDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := apnstest.New(t)
		s := newService(t, p)
		own := p.Developer.Identity
		id := identity{key: own.Key, chain: [][]byte{own.Certificate.Raw}}
		d := s.open(hello{})
		d.send(id.connect(t, time.Now(), ""))
		d.wantRefused()
	})
}

func TestExpiredCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id, younger identity
		s, _ := assemble(t, parts{before: func(s *service) {
			id = s.newIdentity()
			time.Sleep(credential.DeviceLifetime - time.Hour)
			younger = s.newIdentity()
			time.Sleep(time.Hour)
		}})
		d := s.open(hello{})
		d.send(id.connect(t, time.Now(), ""))
		d.wantRefused()
		s.login(younger, "").ready()
	})
}

// TestWrongClock checks the second chance, on the same connection.
func TestWrongClock(t *testing.T) {
	for _, off := range []time.Duration{time.Hour, -time.Hour, 15*time.Minute + time.Second} {
		t.Run(off.String(), func(t *testing.T) {
			bubble(t, func(s *service) {
				t := s.t
				id := s.newIdentity()
				d := s.open(hello{})
				d.send(id.connect(t, time.Now().Add(off), ""))
				ack := d.want(wire.CommandConnectAck)
				if ack[1][0] != 2 || len(ack[7]) != 8 {
					t.Fatalf("ConnectAck is %x, want status 2 and item 7 of 8 bytes", ack)
				}
				at := time.UnixMilli(int64(binary.BigEndian.Uint64(ack[7])))
				if !at.Equal(time.Now()) {
					t.Errorf("item 7 is %v, want %v", at, time.Now())
				}
				d.send(id.connect(t, at, ""))
				d.wantAccepted()
			})
		})
	}
	bubble(t, func(s *service) { // within the window
		id := s.newIdentity()
		s.open(hello{}).loginAt(id, time.Now().Add(15*time.Minute))
		s.open(hello{}).loginAt(id, time.Now().Add(-15*time.Minute))
	})
}

func (d *rawDevice) loginAt(id identity, at time.Time) {
	d.t.Helper()
	d.send(id.connect(d.t, at, ""))
	d.wantAccepted()
}

// TestWrongClockAndMore checks that no stranger learns anything by a wrong
// clock: who has the wrong key is told nothing of the time.
func TestWrongClockAndMore(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		id.key = newECKey(t)
		d := s.open(hello{})
		d.send(id.connect(t, time.Now().Add(time.Hour), ""))
		d.wantRefused()
	})
}

// TestUnreadableBaseToken checks that a device with a base token of another
// service gets one of this.
func TestUnreadableBaseToken(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		foreign := apns.BaseToken(slices.Repeat([]byte{0x55}, 32))
		d := s.login(id, foreign)
		if d.base == foreign || len(d.base) != 32 {
			t.Errorf("base token is %x", d.base)
		}
		again := s.login(id, d.base)
		if again.base != d.base {
			t.Errorf("base token was %x and now is %x", d.base, again.base)
		}
	})
}

// TestDamagedBaseToken checks that a base token that this courier did not make, or
// not in this form, opens nothing: the device has the one that is its own.
func TestDamagedBaseToken(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		good := s.login(id, "").base
		flipped := func(at int) apns.BaseToken {
			b := []byte(good)
			b[at] ^= 1
			return apns.BaseToken(b)
		}
		for name, base := range map[string]apns.BaseToken{
			"truncated": good[:31], "too long": good + "x", "as long as a topic hash": good[:20], "all zeros": apns.BaseToken(make([]byte, 32)),
			"forged at the start": flipped(0), "forged in the middle": flipped(16), "forged at the end": flipped(31),
			"a device token": apns.BaseToken(s.tokenOf(id, alertTopic)),
		} {
			d := s.login(id, base)
			if d.base != good {
				t.Errorf("%s: base token is %x, want %x", name, d.base, good)
			}
			// Nor is it good for anything else.
			hash := alertTopic.Hash()
			d.send(frame(wire.CommandFilter, item(1, []byte(base)), item(2, hash[:])))
			d.wantNothing()
			d.send(frame(wire.CommandAppToken, item(1, []byte(base)), item(2, hash[:])))
			if got := d.want(wire.CommandAppTokenResponse); got[1][0] != byte(wire.AppTokenUnknownDevice) || got[2] != nil {
				t.Errorf("%s: AppTokenResponse is %x, want status 2", name, got)
			}
			d.send(frame(wire.CommandConnect, item(1, []byte(base)), item(2, []byte{2})))
			d.wantNothing() // a goodbye of nobody
		}
	})
}

// TestMalformed checks what closes the connection without a word.
func TestMalformed(t *testing.T) {
	header := func(c wire.Command, length uint32) []byte {
		return binary.BigEndian.AppendUint32([]byte{byte(c)}, length)
	}
	for _, tt := range []struct {
		name  string
		after bool // the Connect
		send  []byte
	}{
		{"top bit", false, header(7, 1<<31)},
		{"item longer than the frame", false, []byte{7, 0, 0, 0, 3, 1, 0, 0x20}},
		{"half an item header", false, []byte{7, 0, 0, 0, 2, 1, 0}},
		{"KeepAlive before Connect", false, frame(wire.CommandKeepAlive)},
		{"Filter before Connect", false, frame(wire.CommandFilter)},
		{"unknown command before Connect", false, frame(0xff)},
		{"HTTP in the name of the courier", false, []byte("GET / HTTP/1.1\r\n\r\n")},
		{"Connect of 32 KiB and a byte", false, header(7, 32<<10+1)},
		{"goodbye before hello", false, frame(wire.CommandConnect, item(2, []byte{2}))},
		{"top bit after Connect", true, header(12, 1<<31)},
		{"64 KiB and a byte", true, header(9, 64<<10+1)},
		{"Connect with a broken item", true, []byte{7, 0, 0, 0, 3, 1, 0, 0x20}},
		{"Filter with a broken item", true, []byte{9, 0, 0, 0, 3, 1, 0, 0x20}},
		{"Ack with a broken item", true, []byte{11, 0, 0, 0, 3, 4, 0, 4}},
		{"KeepAlive with a broken item", true, []byte{12, 0, 0, 0, 1, 4}},
		{"SetActiveState with a broken item", true, []byte{20, 0, 0, 0, 1, 4}},
		{"Flush with a broken item", true, []byte{15, 0, 0, 0, 1, 4}},
		{"AppToken with a broken item", true, []byte{17, 0, 0, 0, 1, 4}},
		{"SendMessage with a broken item", true, []byte{10, 0, 0, 0, 1, 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(s *service) {
				d := s.open(hello{})
				if tt.after {
					d.login(s.newIdentity(), "")
				}
				d.send(tt.send)
				d.wantClosed(0)
			})
		})
	}
}

// TestLargestFrames checks that what is just allowed is taken.
func TestLargestFrames(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		connect := id.connect(t, time.Now(), "")
		// Fill both up with items that nobody knows.
		fill := func(f []byte, payload int) []byte {
			for rest := payload - (len(f) - wire.HeaderBytes); rest > 0; rest = payload - (len(f) - wire.HeaderBytes) {
				f = append(f, item(99, make([]byte, min(rest-3, 20000)))...)
			}
			binary.BigEndian.PutUint32(f[1:], uint32(len(f)-wire.HeaderBytes))
			return f
		}
		d := s.open(hello{})
		d.send(fill(connect, 32<<10))
		d.wantAccepted()
		d.send(fill(frame(wire.CommandFilter, item(1, []byte(d.base))), 64<<10))
		d.want(wire.CommandNoStorage)
		d.send(frame(wire.CommandKeepAlive))
		d.want(wire.CommandKeepAliveResponse)
	})
}

// TestByteByByte checks that it does not matter how the bytes come.
func TestByteByByte(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		d := s.open(hello{})
		for _, b := range id.connect(t, time.Now(), "") {
			d.send([]byte{b})
		}
		d.wantAccepted()
		keepAlive := frame(wire.CommandKeepAlive)
		d.send(slices.Repeat(keepAlive, 100), keepAlive[:2])
		for range 100 {
			d.want(wire.CommandKeepAliveResponse)
		}
		d.wantNothing()
		d.send(keepAlive[2:])
		d.want(wire.CommandKeepAliveResponse)
	})
}

// TestConnectTwice checks that the second Connect on a connection replaces the
// first.
func TestConnectTwice(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		n := alert("unacknowledged")
		s.push(token, n)
		first := d.wantPayload(n, 0)
		d.send(id.connect(t, time.Now(), d.base))
		d.wantAccepted()
		d.wantNothing() // until it has told its filter
		d.filter(alertTopic)
		again := d.wantPayload(n, 3)
		if string(first[6]) != string(again[6]) {
			t.Errorf("timestamp was %x and now is %x", first[6], again[6])
		}
		d.ack(again, wire.AckOK)
		d.wantNothing()

		other := s.newIdentity() // another user of the device
		d.login(other, "")
		if of, err := s.registry.OpenBaseToken(d.base, apns.Sandbox); err != nil {
			t.Error(err)
		} else if want, err := s.registry.Device(t.Context(), other.id); err != nil || of != want {
			t.Errorf("base token is of device %d, want %d, %v", of, want, err)
		}
		if n := s.spool.Stats().Attached; n != 1 {
			t.Errorf("%d devices are attached, want 1", n)
		}
	})
}

// TestConnectTwiceWrong checks that a refused second Connect ends the session.
func TestConnectTwiceWrong(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		d := s.login(id, "")
		d.send(id.connect(t, time.Now().Add(time.Hour), ""))
		if ack := d.want(wire.CommandConnectAck); ack[1][0] != 2 || len(ack[7]) != 8 {
			t.Fatalf("ConnectAck is %x, want status 2 and item 7", ack)
		}
		d.send(frame(wire.CommandKeepAlive)) // there is no session now
		d.wantClosed(0)

		d = s.login(id, "")
		d.send(foreignIdentity(t).connect(t, time.Now(), ""))
		d.wantRefused()
	})
}

func TestGoodbye(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		id := s.newIdentity()
		d := s.login(id, "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		s.push(token, alert("first"))
		d.want(wire.CommandNotification)
		goodbye := func(base apns.BaseToken) []byte {
			return frame(wire.CommandConnect, item(1, []byte(base)), item(2, []byte{2}))
		}
		d.send(goodbye(apns.BaseToken(slices.Repeat([]byte{7}, 32))))
		d.wantNothing() // of a device that is not connected here
		d.send(goodbye(d.base))
		d.wantClosed(0)
		synctest.Wait()
		if n := s.spool.Stats().Attached; n != 0 {
			t.Errorf("%d devices are attached, want 0", n)
		}
		back := s.login(id, d.base)
		back.filter(alertTopic)
		back.wantPayload(alert("first"), 3)
	})
}
