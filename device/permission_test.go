package device

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/apns"
)

func TestPresentAtInterruptionLevels(t *testing.T) {
	three := 3
	banner := Presentation{Listed: true, Banner: true, Body: "B", Sound: "default", Badge: &three}
	listed := Presentation{Listed: true, Body: "B", Badge: &three}
	critical, noTimeSensitive := granted, granted
	critical.Critical, noTimeSensitive.NoTimeSensitive = true, true
	tests := []struct {
		name   string
		level  string // of the payload
		w      wishes
		want   Presentation
		heeded apns.InterruptionLevel
	}{
		{"none", "", wishes{permission: granted}, banner, apns.InterruptionActive},
		{"unknown", "loud", wishes{permission: granted}, banner, apns.InterruptionActive},
		{"passive", "passive", wishes{permission: granted}, listed, apns.InterruptionPassive},
		{"active", "active", wishes{permission: granted}, banner, apns.InterruptionActive},
		{"active, quiet", "active", wishes{permission: granted, quiet: true}, listed, apns.InterruptionActive},
		{"time-sensitive, quiet", "time-sensitive", wishes{permission: granted, quiet: true}, banner, apns.InterruptionTimeSensitive},
		{"time-sensitive, quiet, not allowed", "time-sensitive", wishes{permission: noTimeSensitive, quiet: true}, listed, apns.InterruptionActive},
		{"critical, quiet", "critical", wishes{permission: critical, quiet: true}, banner, apns.InterruptionCritical},
		{"critical, quiet, not allowed", "critical", wishes{permission: granted, quiet: true}, listed, apns.InterruptionActive},
		{"critical, denied", "critical", wishes{permission: Permission{Status: Denied, Types: Alert, Critical: true}}, Presentation{Silent: true}, apns.InterruptionCritical},
		{"alerts alone allowed", "", wishes{permission: Permission{Status: Authorized, Types: Alert}}, Presentation{Listed: true, Banner: true, Body: "B"}, apns.InterruptionActive},
		{"sounds alone allowed, quiet", "", wishes{permission: Permission{Status: Authorized, Types: Sound}, quiet: true}, Presentation{Silent: true}, apns.InterruptionActive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.w.types = Alert | Sound | Badge
			n := Notification{Notification: apns.Notification{
				Topic: "com.example.demo", PushType: apns.PushTypeAlert,
				Payload: apns.Payload(`{"aps":{"alert":"B","sound":"default","badge":3,"interruption-level":"` + tt.level + `"}}`),
			}}
			tt.want.Topic, tt.want.AppName, tt.want.InterruptionLevel = "com.example.demo", "Demo", tt.heeded
			if diff := cmp.Diff(tt.want, present(n, tt.w)); diff != "" {
				t.Errorf("presentation (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPermissionIsAskedAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const demo, other apns.Topic = "com.example.demo", "com.example.other"
		var asked []apns.Topic
		answer := Permission{}
		c := Config{
			Courier: "courier.test:5223", Environment: apns.Sandbox, Dir: t.TempDir(),
			Activation: "https://activation.test/", EnrolmentCode: "code",
			AskPermission: func(topic apns.Topic, _ NotificationTypes) Permission {
				asked = append(asked, topic)
				return answer
			},
		}
		open := func() *Device {
			t.Helper()
			d, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		register := func(d *Device, topic apns.Topic) {
			t.Helper()
			if err := d.RegisterForRemoteNotifications(topic, Alert|Sound, Delegate{}); err != nil {
				t.Fatal(err)
			}
		}
		d := open()
		register(d, demo) // left open
		if got, want := d.EnabledRemoteNotificationTypes(demo), Alert|Sound; got != want {
			t.Errorf("enabled by default: got %v, want %v", got, want)
		}
		answer = Permission{Status: Authorized, Types: Alert | Badge, Critical: true}
		register(d, demo)
		answer = Permission{Status: Denied}
		register(d, demo) // was decided
		register(d, other)
		if diff := cmp.Diff([]apns.Topic{demo, demo, other}, asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		until := time.Now().Add(time.Hour)
		d.SetDoNotDisturb(true, until)
		if err := d.save(); err != nil {
			t.Fatal(err)
		}

		d = open()
		if got, want := d.Permission(demo), (Permission{Status: Authorized, Types: Alert | Badge, Critical: true}); got != want {
			t.Errorf("permission: got %+v, want %+v", got, want)
		}
		if got, want := d.EnabledRemoteNotificationTypes(demo), Alert; got != want {
			t.Errorf("enabled: got %v, want %v", got, want)
		}
		if got := d.EnabledRemoteNotificationTypes(other); got != 0 {
			t.Errorf("enabled where denied: got %v, want none", got)
		}
		if got := d.EnabledRemoteNotificationTypes("com.example.absent"); got != 0 {
			t.Errorf("enabled where not registered: got %v, want none", got)
		}
		if on, got := d.DoNotDisturb(); !on || !got.Equal(until) {
			t.Errorf("do not disturb: got %v until %v, want until %v", on, got, until)
		}
		time.Sleep(time.Hour)
		if on, _ := d.DoNotDisturb(); on {
			t.Error("do not disturb: got on after its end")
		}
		if err := d.SetPermission(other, Permission{}); err != nil {
			t.Fatal(err)
		}
		if got := d.Permission(other); got != granted {
			t.Errorf("permission that was taken back: got %+v, want %+v", got, granted)
		}
	})
}

func TestPermissionIsChecked(t *testing.T) {
	d, err := New(Config{
		Courier: "courier.test:5223", Environment: apns.Sandbox, Activation: "https://activation.test/", EnrolmentCode: "code",
		DefaultPermission: Permission{Status: Denied},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Permission("com.example.demo").Status; got != Denied {
		t.Errorf("default: got %v, want denied", got)
	}
	for _, p := range []Permission{{Status: 3}, {Status: Authorized, Types: 8}} {
		if err := d.SetPermission("com.example.demo", p); err == nil {
			t.Errorf("%+v: got no error", p)
		}
	}
	if err := d.SetPermission("..", granted); err == nil {
		t.Error("no topic: got no error")
	}
}
