package provider_test

import (
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest/scripted"
	"github.com/heraldpush/herald/provider/account"
)

// Apps that use the same key share one provider token and one connection.
func TestSharedKey(t *testing.T) {
	play(t, func(w *world) {
		p8 := w.p8()
		for _, app := range []struct {
			id       account.AppID
			bundleID apns.Topic
		}{{"one", "com.example.one"}, {"two", "com.example.two"}} {
			w.app(app.id, app.bundleID)
			w.upload(app.id, account.Upload{File: p8, TeamID: team, KeyID: "KEY1111111"})
			w.register(app.id, "i0", tokenOf(0))
		}
		w.run(func() {
			one, two := w.send("one", "i0"), w.send("two", "i0")
			w.says(w.ended("one", one), "1 0 0 0")
			w.says(w.ended("two", two), "1 0 0 0")
		})
		all := w.gateway.Pushes()
		if len(all) != 2 || all[0].Value("authorization") != all[1].Value("authorization") {
			t.Errorf("got %d pushes, with provider tokens of their own", len(all))
		}
		if got := w.gateway.Counts().Opened; got != 1 {
			t.Errorf("got %d connections, want 1", got)
		}
	})
}

// A key that the gateway refuses is replaced by the next, and nothing is lost.
func TestNextCredential(t *testing.T) {
	play(t, func(w *world) {
		all := w.crowd(5)
		w.key("GOOD111111")
		time.Sleep(time.Minute) // the newer is tried first
		bad := w.key("BAD1111111")
		w.gateway.OnPush(func(p scripted.Push) scripted.Reply {
			if signer(p) == "BAD1111111" {
				return scripted.Refuse(apns.InvalidProviderToken)
			}
			return scripted.Accept()
		})
		w.run(func() {
			w.says(w.ended(shop, w.send(shop, all...)), "5 0 0 0")
		})
		c, err := w.book.Credential(shop, bad.ID)
		w.must(err)
		if got := c.Standing(apns.Sandbox).Reason; got != apns.InvalidProviderToken {
			t.Errorf("got the standing %q, want refused", got)
		}
	})
}

// A certificate that expires while messages wait stops them, until there is
// another; none is refused for it.
func TestCertificateExpires(t *testing.T) {
	play(t, func(w *world) {
		all := w.crowd(1)
		pem, err := w.identity(bundleID, time.Now().Add(35*time.Minute)).MarshalPEM()
		w.must(err)
		w.upload(shop, account.Upload{File: pem})
		w.run(func() {
			w.says(w.ended(shop, w.send(shop, all...)), "1 0 0 0")
			w.gateway.Reply(scripted.Refuse(apns.TooManyRequests).RetryAfter(50 * time.Minute))
			id := w.send(shop, all...)
			time.Sleep(30 * time.Minute)
			w.gateway.Reply(scripted.Accept())
			time.Sleep(time.Hour)
			m, err := w.Message(w.t.Context(), shop, id)
			w.must(err)
			w.says(m, "0 0 0 1")
			w.key("KEY1111111")
			w.says(w.ended(shop, id), "1 0 0 0")
		})
		if got := w.signers(); got != "certificate+ KEY1111111" && got != "certificate++ KEY1111111" {
			t.Errorf("got pushes by %q", got)
		}
	})
}

// A new credential takes the place of an old one when it is proven.
func TestRotation(t *testing.T) {
	play(t, func(w *world) {
		all := w.crowd(1)
		old := w.key("OLD1111111")
		w.run(func() {
			w.ended(shop, w.send(shop, all...))
			fresh := w.upload(shop, account.Upload{File: w.p8(), TeamID: team, KeyID: "NEW1111111", Replaces: old.ID})
			w.gateway.Reply(scripted.Refuse(apns.BadDeviceToken))
			found, err := w.book.Check(w.t.Context(), shop, fresh.ID)
			w.must(err)
			for _, f := range found {
				if f.Verdict != account.Taken {
					t.Errorf("got %+v, want taken", f)
				}
			}
			w.gateway.Reply(scripted.Accept())
			w.ended(shop, w.send(shop, all...))
		})
		if got := w.signers(); got != "OLD1111111 NEW1111111++" { // two of them are the check
			t.Errorf("got pushes by %q", got)
		}
		if got := w.book.Credentials(shop); len(got) != 1 {
			t.Errorf("got %d credentials, want the new one alone", len(got))
		}
	})
}
