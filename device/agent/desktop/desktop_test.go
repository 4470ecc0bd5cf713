package desktop

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/device/agent"
)

// busConfig is a bus that anybody of this user may use.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=DIR</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>`

// bus is a session bus of the test's own.
type bus struct {
	address string
	cmd     *exec.Cmd
	once    sync.Once
}

// startBus starts a bus that this process takes for its session's.
func startBus(t *testing.T) *bus {
	t.Helper()
	return startBusWith(t, busConfig)
}

func startBusWith(t *testing.T, config string) *bus {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		const why = "dbus-daemon is missing: it carries notifications to a desktop; Debian has it in the package dbus-daemon"
		if os.Getenv("HERALD_E2E") == "require" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	dir, err := os.MkdirTemp("", "bus-") //nolint:usetesting // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &bus{cmd: exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--print-address", "--config-file="+file)} //nolint:noctx // stop ends it
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	line := make([]byte, 1024)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	b.address = strings.TrimSpace(string(line[:n]))
	t.Setenv(addressVariable, b.address)
	return b
}

func (b *bus) stop() {
	b.once.Do(func() {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	})
}

// shown is a call of Notify.
type shown struct {
	App, Icon, Summary, Body string
	Replaces                 uint32
	Urgency                  byte
	Sound                    string
	Quiet                    bool
}

// screen plays the program of the desktop.
type screen struct {
	t         *testing.T
	abilities []string
	mu        sync.Mutex
	all       []shown // guarded by mu
}

// GetCapabilities is a method of the desktop's.
func (s *screen) GetCapabilities() ([]string, *dbus.Error) { return s.abilities, nil }

// Notify is a method of the desktop's.
func (s *screen) Notify(app string, replaces uint32, icon, summary, body string, actions []string, hints map[string]dbus.Variant, expiry int32) (uint32, *dbus.Error) {
	if len(actions) != 0 || expiry != -1 {
		s.t.Errorf("got actions %v and expiry %d, want none and the desktop's own", actions, expiry)
	}
	n := shown{App: app, Replaces: replaces, Icon: icon, Summary: summary, Body: body}
	for name, hint := range hints {
		var err error
		switch name {
		case "urgency":
			err = hint.Store(&n.Urgency)
		case "sound-name":
			err = hint.Store(&n.Sound)
		case "suppress-sound":
			err = hint.Store(&n.Quiet)
		default:
			err = errors.New("unknown")
		}
		if err != nil {
			s.t.Errorf("hint %s: %v", name, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, n)
	if replaces != 0 {
		return replaces, nil
	}
	return uint32(len(s.all)), nil //nolint:gosec // a few
}

// count returns how many calls there were.
func (s *screen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// last returns the latest call.
func (s *screen) last() shown {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return shown{}
	}
	return s.all[len(s.all)-1]
}

// startScreen puts a desktop onto the bus.
func startScreen(t *testing.T, b *bus, abilities ...string) *screen {
	t.Helper()
	conn, err := dbus.Connect(b.address, dbus.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the bus may have ended before
	s := &screen{t: t, abilities: abilities}
	if err := conn.Export(s, path, service); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(service, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("taking %s: %v, %v", service, reply, err)
	}
	return s
}

// event returns a notification as the agent reports it.
func event(level apns.InterruptionLevel, collapse apns.CollapseID, s agent.Shown) agent.Event {
	return agent.Event{
		Kind: agent.Received, Topic: "com.example.demo", Presentation: device.Presentation{AppName: "Demo"},
		Notification: &agent.Notification{ID: "x", CollapseID: collapse, Level: level, Shown: &s},
	}
}

func TestShow(t *testing.T) {
	b := startBus(t)
	s := startScreen(t, b, "body")
	d, err := Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, tt := range []struct {
		name  string
		event agent.Event
		want  shown // zero if nothing
	}{
		{
			"all there is", event(apns.InterruptionActive, "", agent.Shown{Banner: true, Title: "T", Subtitle: "S", Body: "one\ntwo", Sound: "chime.caf", Badge: new(3)}),
			shown{App: "Demo", Summary: "T", Body: "S\none\ntwo\n● 3", Urgency: normal, Sound: sound},
		},
		{
			"no title", event(apns.InterruptionActive, "", agent.Shown{Banner: true, Body: "b"}),
			shown{App: "Demo", Summary: "Demo", Body: "b", Urgency: normal, Quiet: true},
		},
		{
			"passive", event(apns.InterruptionPassive, "", agent.Shown{Title: "T"}),
			shown{App: "Demo", Summary: "T", Urgency: low, Quiet: true},
		},
		{
			"time-sensitive", event(apns.InterruptionTimeSensitive, "", agent.Shown{Banner: true, Title: "T"}),
			shown{App: "Demo", Summary: "T", Urgency: critical, Quiet: true},
		},
		{
			"critical", event(apns.InterruptionCritical, "", agent.Shown{Banner: true, Title: "T", Sound: "default"}),
			shown{App: "Demo", Summary: "T", Urgency: critical, Sound: sound},
		},
		{
			"badge alone", event(apns.InterruptionActive, "", agent.Shown{Badge: new(0)}),
			shown{App: "Demo", Summary: "Demo", Body: "● 0", Urgency: normal, Quiet: true},
		},
		{"only listed", event(apns.InterruptionActive, "", agent.Shown{Title: "T"}), shown{}},
		{
			"hostile", event(apns.InterruptionActive, "", agent.Shown{Banner: true, Title: "a\nb\x1b[2J\u202e", Body: "<b>&\x00\xff\t\u200d.</b>"}),
			shown{App: "Demo", Summary: "a b[2J", Body: "<b>&\ufffd \u200d.</b>", Urgency: normal, Quiet: true},
		},
	} {
		before := s.count()
		if err := d.Show(t.Context(), tt.event); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := shown{}
		if s.count() > before {
			got = s.last()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if err := d.Show(t.Context(), agent.Event{Kind: agent.Connected}); err != nil {
		t.Errorf("what is no notification: %v", err)
	}
}

func TestMarkup(t *testing.T) {
	b := startBus(t)
	s := startScreen(t, b, "body", "body-markup")
	d, err := Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Show(t.Context(), event(apns.InterruptionActive, "", agent.Shown{Banner: true, Title: "<i>", Body: `<a href="x">&`})); err != nil {
		t.Fatal(err)
	}
	if got := s.last(); got.Summary != "<i>" || got.Body != "&lt;a href=&#34;x&#34;&gt;&amp;" {
		t.Errorf("got %q and %q, want the body escaped", got.Summary, got.Body)
	}
}

func TestCollapse(t *testing.T) {
	b := startBus(t)
	s := startScreen(t, b)
	d, err := Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	show := func(collapse apns.CollapseID) shown {
		t.Helper()
		if err := d.Show(t.Context(), event(apns.InterruptionActive, collapse, agent.Shown{Banner: true, Title: "T"})); err != nil {
			t.Fatal(err)
		}
		return s.last()
	}
	if got := show("score"); got.Replaces != 0 {
		t.Errorf("first: got %+v, want one that replaces none", got)
	}
	show("")
	if got := show("weather"); got.Replaces != 0 {
		t.Errorf("another: got %+v, want one that replaces none", got)
	}
	for range 2 {
		if got := show("score"); got.Replaces != 1 {
			t.Errorf("again: got %+v, want one that replaces the first", got)
		}
	}
	for n := range remembered {
		show(apns.CollapseID("other" + string(rune('A'+n))))
	}
	if got := show("score"); got.Replaces != 0 {
		t.Errorf("after many others: got %+v, want one that replaces none", got)
	}
	if len(d.shown) != remembered || len(d.order) != remembered {
		t.Errorf("remembers %d and %d, want %d", len(d.shown), len(d.order), remembered)
	}
}

// TestRefusals has no bus, a bus without a desktop, and a bus that ends.
func TestRefusals(t *testing.T) {
	check := func(name string, err error, reason, remedy string) {
		t.Helper()
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(err.Error(), reason) || !strings.Contains(e.Remedy, remedy) {
			t.Errorf("%s: got %v, want %q", name, err, reason)
		}
	}
	t.Setenv(addressVariable, "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	_, err := Open(t.Context())
	check("no bus", err, "there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set", "systemd --user")
	t.Setenv(addressVariable, "unix:path="+filepath.Join(t.TempDir(), "none"))
	_, err = Open(t.Context())
	check("nobody at the address", err, "the session bus does not answer at unix:path=", "DBUS_SESSION_BUS_ADDRESS must be")
	t.Setenv(addressVariable, "nonsense")
	_, err = Open(t.Context())
	check("no address", err, "the session bus does not answer at nonsense", "DBUS_SESSION_BUS_ADDRESS must be")

	mute := startBusWith(t, strings.ReplaceAll(busConfig, `<allow eavesdrop="true"/>`, "")) // so that no answer arrives
	_, err = open(t.Context(), 100*time.Millisecond)
	check("a mute bus", err, "does not answer at "+mute.address+": no answer in 100ms", "DBUS_SESSION_BUS_ADDRESS must be")

	b := startBus(t)
	_, err = Open(t.Context())
	check("no desktop", err, "nobody on this desktop shows notifications", "dunst")
	s := startScreen(t, b)
	d, err := Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b.stop()
	e := event(apns.InterruptionActive, "", agent.Shown{Banner: true, Title: "T"})
	err = d.Show(t.Context(), e)
	check("the bus has ended", err, "the session bus does not answer", "a session that is running")
	if s.count() != 0 {
		t.Errorf("got %+v", s.last())
	}

	for _, name := range []string{"after a refusal", "at once"} {
		again := startBus(t)
		d.address = again.address // as with a bus that listens at the same place
		s = startScreen(t, again)
		if err := d.Show(t.Context(), e); err != nil || s.last().Summary != "T" {
			t.Errorf("on a new bus, %s: got %+v and %v, want it shown", name, s.last(), err)
		}
		again.stop()
	}
}
