package spooltest

import (
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/spool"
)

// reopen closes the store and opens it again, where it keeps what it holds.
func (f *fixture) reopen() {
	f.t.Helper()
	if f.again == nil {
		f.t.Skip("the store ends with what it holds")
	}
	before := f.Usage()
	f.noError(f.Close())
	f.Store = f.again()
	if after := f.Usage(); after != before {
		f.t.Errorf("usage of the store that was opened again: got %+v, want %+v", after, before)
	}
}

// expires calls Expire some time after the epoch and checks how many went.
func (f *fixture) expires(after time.Duration, want int) {
	f.t.Helper()
	n, err := f.Expire(f.t.Context(), epoch.Add(after))
	f.noError(err)
	if n != want {
		f.t.Errorf("expire after %v: got %d, want %d", after, n, want)
	}
}

func testRepeatsOpenedAgain(_ *testing.T, f *fixture) {
	const window = 10 * 60 * 1000 // ms
	unkept := once(entry(address(1, 2), 2), 2)
	unkept.Keep = false
	f.put(once(entry(address(1, 1), 0), 1), unkept)
	f.put(once(entry(address(1, 3), 5*60*1000), 3))
	f.reopen()
	f.repeats("within the window", f.put(
		once(entry(address(1, 1), window-1), 1), once(entry(address(1, 2), window-1), 2), once(entry(address(1, 4), window-1), 4),
	), true, true, false)
	f.repeats("at its end", f.put(once(entry(address(1, 1), window), 1)), false)
	f.reopen()
	f.expires(10*time.Minute+time.Millisecond, 0)
	f.repeats("remembered a second time", f.put(once(entry(address(1, 1), window+2), 1)), true)
	f.repeats("of another time", f.put(once(entry(address(1, 3), window+2), 3)), true)
	f.reopen()
	f.expires(time.Hour, 0)
	f.reopen()
	f.repeats("after all", f.put(once(entry(address(1, 3), 60*60*1000), 3)), false)
}

func testExpireOpenedAgain(_ *testing.T, f *fixture) {
	soon := entry(address(1, 1), 1)
	soon.Notification.Expiration = apns.ExpiresAt(epoch.Add(time.Minute))
	late := entry(address(1, 2), 2)
	said := message("AAAA", 3)
	said.Notification.Expiration = apns.ExpiresAt(epoch.Add(2 * time.Minute))
	f.put(keep(soon), keep(late))
	f.publish(said, message("BBBB", 4))
	f.reopen()
	f.expires(4*time.Minute, 2)
	f.holds(1, late)
	f.says("AAAA", nil)
	f.reopen()
	f.expires(4*time.Minute, 0)
	f.expires(apns.MaxChannelStorage+2*time.Minute, 1)
	f.expires(apns.MaxStorage+2*time.Minute, 1)
	f.reopen()
	if u := f.Usage(); u.Notifications != 0 || u.Bytes != 0 {
		f.t.Errorf("usage: got %+v, want none", u)
	}
}

// testManyExpire has more expire at once than a store looks at in one go.
func testManyExpire(_ *testing.T, f *fixture) {
	const devices = 1500
	var writes []spool.Write
	for d := range devices {
		e := entry(address(apns.DeviceOrdinal(d+1), 1), d)
		e.Notification.Expiration = apns.ExpiresAt(epoch.Add(time.Hour + time.Duration(d%3)*time.Minute))
		writes = append(writes, keep(e))
	}
	f.put(writes...)
	stays := entry(address(devices+1, 1), devices)
	f.put(keep(stays))
	f.expires(59*time.Minute, 0)
	f.expires(time.Hour+4*time.Minute, devices)
	f.expires(time.Hour+4*time.Minute, 0)
	f.holds(1)
	f.holds(devices+1, stays)
	if u := f.Usage(); u.Notifications != 1 || u.Bytes != stays.Bytes() {
		f.t.Errorf("usage: got %+v, want one", u)
	}
}

// testExpiredWhenPut puts what expired at a time for which Expire was called
// already.
func testExpiredWhenPut(_ *testing.T, f *fixture) {
	f.expires(time.Hour, 0)
	e := entry(address(1, 1), 1)
	e.Notification.Expiration = apns.ExpiresAt(epoch.Add(time.Minute))
	f.put(keep(e))
	f.expires(time.Hour, 1)
	f.holds(1)
}
