package courier_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/wire"
)

// TestTranscript is a session as strict devices of third parties want it, with
// either kind of key.
func TestTranscript(t *testing.T) {
	for _, tt := range []struct {
		name   string
		key    func(*testing.T) crypto.Signer
		prefix string
	}{
		{"RSA with SHA-1", func(t *testing.T) crypto.Signer { t.Helper(); return newRSAKey(t) }, "\x01\x01"},
		{"P-256 with SHA-256", func(t *testing.T) crypto.Signer { t.Helper(); return newECKey(t) }, "\x01\x03"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := tt.key(t)
			bubble(t, func(s *service) {
				t := s.t
				id := s.activate(key)
				nonce := newNonce(t, time.Now())
				signature, err := nonce.Sign(id.key)
				must(t, err)
				if got := string(signature[:2]); got != tt.prefix {
					t.Fatalf("signature begins with %x, want %x", got, tt.prefix)
				}
				d := s.open(hello{})
				d.send(id.connectWith("", nonce[:], signature))
				wantSession(t, s, d)
			})
		})
	}
}

// wantSession checks all from ConnectAck to the acknowledged notification.
func wantSession(t *testing.T, s *service, d *rawDevice) {
	t.Helper()
	ack := d.want(wire.CommandConnectAck)
	if diff := cmp.Diff(map[uint8]int{1: 1, 3: 32, 4: 2, 5: 2, 6: 4, 8: 2, 10: 8}, widths(ack)); diff != "" {
		t.Fatalf("items of ConnectAck (-want +got):\n%s", diff)
	}
	for id, want := range map[uint8][]byte{
		1: {0}, 4: {0x10, 0}, 5: {0, 2}, 6: {0, 0, 0, 0}, 8: {0x3c, 0},
		10: binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixMilli())),
	} {
		if !bytes.Equal(ack[id], want) {
			t.Errorf("item %d of ConnectAck is %x, want %x", id, ack[id], want)
		}
	}
	d.base = apns.BaseToken(ack[3])

	d.filter() // the base token alone
	if got := d.want(wire.CommandNoStorage); string(got[1]) != string(d.base) || len(got) != 1 {
		t.Errorf("NoStorage has %x, want item 1 with %x", got, d.base)
	}
	d.send(frame(wire.CommandKeepAlive))
	if got := d.want(wire.CommandKeepAliveResponse); len(got) != 0 {
		t.Errorf("KeepAliveResponse has items %v, want none", itemIDs(got))
	}
	before := wantToken(d, alertTopic, 0x1234)
	d.filter(alertTopic)
	if after := wantToken(d, alertTopic, 0); after != before {
		t.Errorf("device token was %x and now is %x", before, after)
	}

	n := alert("hello")
	for _, tt := range []struct {
		name string
		echo []byte // item 1 of the Ack
	}{{"device token", []byte(before)}, {"base token", []byte(d.base)}, {"nothing", nil}} {
		s.push(before, n)
		got := d.want(wire.CommandNotification)
		if want := []uint8{1, 2, 3, 4, 5, 6, 13, 15}; !slices.Equal(itemIDs(got), want) {
			t.Errorf("items of Notification are %v, want %v", itemIDs(got), want)
		}
		hash := alertTopic.Hash()
		for id, want := range map[uint8][]byte{
			1: []byte(before), 2: hash[:], 3: n.Payload, 5: {0xff, 0xff, 0xff, 0xff}, 13: {10}, 15: []byte(d.base),
		} {
			if !bytes.Equal(got[id], want) {
				t.Errorf("item %d of Notification is %x, want %x", id, got[id], want)
			}
		}
		if len(got[4]) != 4 || len(got[6]) != 8 {
			t.Errorf("message id has %d bytes and timestamp %d, want 4 and 8", len(got[4]), len(got[6]))
		}
		items := [][]byte{item(8, []byte{0}), item(4, got[4])}
		if tt.echo != nil {
			items = append(items, item(1, tt.echo))
		}
		d.send(frame(wire.CommandAck, items...))
		d.wantNothing()
		// What is acknowledged is gone from the spool.
		if left := s.spool.Stats().Notifications; left != 0 {
			t.Errorf("after an Ack with %s, %d notifications are stored, want 0", tt.name, left)
		}
	}
}

// wantToken asks for a device token and checks that topic and app id are
// echoed.
func wantToken(d *rawDevice, topic apns.Topic, appID uint16) apns.DeviceToken {
	d.t.Helper()
	hash := topic.Hash()
	items := [][]byte{item(2, hash[:]), item(1, []byte(d.base))}
	want := map[uint8]int{1: 1, 2: 32, 3: 20}
	if appID != 0 {
		items, want[4] = append(items, item(3, u16(appID))), 2
	}
	d.send(frame(wire.CommandAppToken, items...))
	got := d.want(wire.CommandAppTokenResponse)
	if diff := cmp.Diff(want, widths(got)); diff != "" {
		d.t.Fatalf("items of AppTokenResponse (-want +got):\n%s", diff)
	}
	if got[1][0] != 0 || !bytes.Equal(got[3], hash[:]) || appID != 0 && !bytes.Equal(got[4], u16(appID)) {
		d.t.Errorf("AppTokenResponse is %x, want status 0 and what was asked", got)
	}
	return apns.DeviceToken(got[2])
}

// TestOlderLogin is a session that TLS has proved.
func TestOlderLogin(t *testing.T) {
	for _, tt := range []struct {
		name       string
		protocols  []string
		maxVersion uint16
	}{
		{"apns-security-v2", []string{wire.ALPNSecurityV2}, 0},
		{"no ALPN", []string{}, 0},
		{"no ALPN, TLS 1.2", []string{}, tls.VersionTLS12},
		{"apns-security-v3 with a client certificate", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(s *service) {
				t := s.t
				id := s.newIdentity()
				d := s.open(hello{protocols: tt.protocols, identity: id.tls(), maxVersion: tt.maxVersion})
				d.send(frame(wire.CommandConnect, item(2, []byte{1}), item(5, u32(0x41))))
				wantSession(t, s, d)
				// The base token names the device of the certificate.
				of, err := s.registry.OpenBaseToken(d.base, apns.Sandbox)
				must(t, err)
				if want, err := s.registry.Device(t.Context(), id.id); err != nil || of != want {
					t.Errorf("the base token is of device %d, want %d, %v", of, want, err)
				}
			})
		})
	}
}

// TestOlderLoginRefused checks that TLS proves devices of this service alone.
func TestOlderLoginRefused(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		for _, protocols := range [][]string{{wire.ALPNSecurityV2}, {}} {
			d := s.open(hello{protocols: protocols})
			d.send(frame(wire.CommandConnect, item(2, []byte{1}), item(5, u32(0x41))))
			d.wantRefused()
		}
		// A foreign certificate ends in TLS: in the handshake or, with TLS 1.3,
		// at the first read.
		conn, err := s.dialTLS(hello{protocols: []string{wire.ALPNSecurityV2}, identity: foreignIdentity(t).tls()})
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		if err == nil {
			t.Error("TLS took the certificate of another authority")
		}
	})
}

// TestALPN checks which protocol is taken.
func TestALPN(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		for _, tt := range []struct {
			offer []string
			want  string // empty means refused
		}{
			{[]string{wire.ALPNSecurityV3}, wire.ALPNSecurityV3},
			{[]string{"apns-pack-v1", wire.ALPNSecurityV3}, wire.ALPNSecurityV3},
			{[]string{wire.ALPNSecurityV3, wire.ALPNHerald}, wire.ALPNHerald},
			{[]string{"h2", "http/1.1"}, "http/1.1"},
			{[]string{"apns-pack-v1"}, ""},
		} {
			conn, err := s.dialTLS(hello{protocols: tt.offer})
			if (err == nil) != (tt.want != "") {
				t.Errorf("%v: got %v", tt.offer, err)
				continue
			}
			if got := conn.ConnectionState().NegotiatedProtocol; got != tt.want {
				t.Errorf("%v: got %q, want %q", tt.offer, got, tt.want)
			}
			_ = conn.Close()
		}
	})
}

// TestHeraldExtensions checks that extension items come where they were
// negotiated; that they do not elsewhere, TestTranscript does.
func TestHeraldExtensions(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		d := s.open(hello{protocols: []string{wire.ALPNHerald, wire.ALPNSecurityV3}})
		d.login(s.newIdentity(), "")
		token := d.token(alertTopic)
		d.ready(alertTopic)
		n := alert("hello")
		n.ID, n.CollapseID = "eabeae54-14a8-11e5-b60b-1697f925ec7b", "score"
		s.push(token, n)
		got := d.wantPayload(n, 0)
		for id, want := range map[uint8]string{200: string(n.ID), 201: "alert", 202: string(alertTopic), 203: "score"} {
			if string(got[id]) != want {
				t.Errorf("item %d is %q, want %q", id, got[id], want)
			}
		}
	})
}

func TestEnvironment(t *testing.T) {
	bubble(t, func(s *service) {
		t := s.t
		for _, tt := range []struct {
			serverName string
			want       apns.Environment
		}{
			{courier.ProductionServerName, apns.Production},
			{"17-" + courier.ProductionServerName, apns.Production},
			{courier.SandboxServerName, apns.Sandbox},
			{"17-" + courier.SandboxServerName, apns.Sandbox},
			{"17-COURIER.sandbox.Push.apple.com", apns.Sandbox},
			{"herald.localhost", apns.Sandbox},
		} {
			d := s.open(hello{serverName: tt.serverName})
			d.login(s.newIdentity(), "")
			if _, err := s.registry.OpenBaseToken(d.base, tt.want); err != nil {
				t.Errorf("%s: the base token is not of %v", tt.serverName, tt.want)
			}
		}
	})
}
