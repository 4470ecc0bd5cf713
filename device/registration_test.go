package device_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/device"
)

// TestRegistrationsAndReach tells what a program hears of its device that is
// for no app: who is registered, and whether there is a courier.
func TestRegistrationsAndReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dir = t.TempDir()
		w.activation(w.issue)
		heard := make(chan string, 100)
		c := w.config()
		c.DidConnect = func(courier string) { heard <- "connected to " + courier }
		c.DidDisconnect = func(err error) {
			if err == nil {
				t.Error("DidDisconnect: got no reason")
			}
			heard <- "disconnected"
		}
		d := w.start(c)
		register(t, d.Device, demo, device.Alert|device.Sound)
		register(t, d.Device, "com.example.a", 0)
		p := w.accept()
		p.welcome(2)
		synctest.Wait()
		want := []device.Registration{
			{Topic: "com.example.a"},
			{Topic: demo, Types: device.Alert | device.Sound, DeviceToken: deviceToken(demo.Hash())},
		}
		want[0].DeviceToken = deviceToken(want[0].Topic.Hash())
		if diff := cmp.Diff(want, d.Registrations()); diff != "" {
			t.Errorf("registrations (-want +got):\n%s", diff)
		}
		if got := <-heard; got != "connected to "+courierAddress {
			t.Errorf("got %q, want connected", got)
		}
		p.close()
		if got := <-heard; got != "disconnected" {
			t.Errorf("got %q, want disconnected", got)
		}
		p = w.accept()
		p.welcome(0)
		if got := <-heard; got != "connected to "+courierAddress {
			t.Errorf("got %q, want connected again", got)
		}
		d.stopped()
		time.Sleep(time.Second)
		if len(heard) > 0 {
			t.Errorf("got %q after the end, want nothing", <-heard)
		}

		later, err := device.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, later.Registrations()); diff != "" {
			t.Errorf("registrations in another process (-want +got):\n%s", diff)
		}
	})
}
