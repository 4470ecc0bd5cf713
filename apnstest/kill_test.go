package apnstest_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/courier"
	"github.com/heraldpush/herald/device"
)

// The environment of a device that is to be killed.
const (
	victimDir   = "HERALD_TEST_VICTIM_DIR"
	victimVia   = "HERALD_TEST_VICTIM_VIA"
	victimEnrol = "HERALD_TEST_VICTIM_CODE"
)

// victimApps are the apps on it, by the type of the pushes that they take.
var victimApps = map[apns.PushType]apns.Topic{
	apns.PushTypeAlert:        apnstest.Topic,
	apns.PushTypeVoIP:         apnstest.Topic + ".voip",
	apns.PushTypeComplication: apnstest.Topic + ".complication",
}

// TestVictim is the device of TestDeviceKilled, in a process of its own. It
// says each device token, and each notification once its app has put it on the
// disk.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victimDir)
	if dir == "" {
		t.Skip("is run by TestDeviceKilled")
	}
	done, err := os.OpenFile(filepath.Join(dir, "done"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(done)
	if err != nil {
		t.Fatal(err)
	}
	had := string(text)
	roots := x509.NewCertPool()
	if text, err = os.ReadFile(filepath.Join(dir, "roots.pem")); err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatalf("roots: %v", err)
	}
	d, err := device.New(device.Config{
		Courier: "courier.push.apple.com:5223", Environment: apns.Sandbox, Roots: roots, Dir: filepath.Join(dir, "device"),
		Activation:    "https://courier.push.apple.com:5223" + courier.ActivationPath,
		EnrolmentCode: os.Getenv(victimEnrol),
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, os.Getenv(victimVia))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for push, topic := range victimApps {
		err := d.RegisterForRemoteNotifications(topic, device.Alert, device.Delegate{
			DidRegister:       func(token apns.DeviceToken) { say(t, "token %s %s", push, token.Hex()) },
			DidFailToRegister: func(err error) { t.Error(err) },
			DidReceive: func(n device.Notification) {
				line := "handled " + string(n.ID)
				switch known := strings.Contains(had, line); {
				case known && n.Again: // done by a process that was killed before it could be noted
					say(t, "again %s", n.ID)
					return
				case known:
					say(t, "twice %s", n.ID)
					return
				}
				if _, err := fmt.Fprintln(done, line); err != nil {
					t.Error(err)
				}
				if err := done.Sync(); err != nil {
					t.Error(err)
				}
				had += line + "\n"
				say(t, "%s", line)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// say writes a line to the test that runs this one, in one piece.
func say(t *testing.T, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(os.Stdout, "\n"+format+"\n", args...); err != nil {
		t.Error(err)
	}
}

// victims is what the device said, in all its lives.
type victims struct {
	mu      sync.Mutex
	tokens  map[apns.PushType]apns.DeviceToken
	handled map[apns.NotificationID]int
	again   int
	twice   int
	changed chan struct{}
}

func (v *victims) hear(line string) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch words[0] {
	case "token":
		token, err := apns.ParseDeviceToken(words[2])
		if err == nil {
			v.tokens[apns.PushType(words[1])] = token
		}
	case "handled":
		v.handled[apns.NotificationID(words[1])]++
	case "again":
		v.again++
		v.handled[apns.NotificationID(words[1])] = 1 // if it was killed before it could say so
	case "twice":
		v.twice++
	}
	close(v.changed)
	v.changed = make(chan struct{})
}

// until waits for what good says.
func (v *victims) until(ctx context.Context, good func() bool) error {
	for {
		v.mu.Lock()
		ok, changed := good(), v.changed
		v.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestDeviceKilled kills the process of a device at any moment while pushes come
// in: each that was accepted reaches its app, and none twice.
func TestDeviceKilled(t *testing.T) {
	rounds := 10
	if os.Getenv("HERALD_LONG") != "" {
		rounds = 100
	}
	p := apnstest.New(t)
	sender := p.NewSender(t)
	dir := t.TempDir()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Portal.Root().Raw})
	if err := os.WriteFile(filepath.Join(dir, "roots.pem"), root, 0o600); err != nil {
		t.Fatal(err)
	}
	_, code, err := p.Portal.CreateEnrolmentCode(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	via := bridge(t, p)
	v := &victims{
		tokens: make(map[apns.PushType]apns.DeviceToken), handled: make(map[apns.NotificationID]int),
		changed: make(chan struct{}),
	}
	live := func(ctx context.Context) {
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestVictim$", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), victimDir+"="+dir, victimVia+"="+via, victimEnrol+"="+code)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Error(err)
			return
		}
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			v.hear(lines.Text())
		}
		if err := cmd.Wait(); ctx.Err() == nil {
			t.Errorf("the device ended by itself: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds)*10*time.Second)
	defer cancel()

	// The first life goes on until there are device tokens.
	var lives sync.WaitGroup
	begin := func() context.CancelFunc {
		life, kill := context.WithCancel(ctx)
		lives.Go(func() { live(life) })
		return kill
	}
	kill := begin()
	if err := v.until(ctx, func() bool { return len(v.tokens) == len(victimApps) }); err != nil {
		t.Fatal(err)
	}
	// Then pushes come in, to each app when it has the one before.
	sending, stop := context.WithCancel(ctx)
	var senders sync.WaitGroup
	accepted := make([]int, 0, len(victimApps))
	var mu sync.Mutex
	for push, topic := range victimApps {
		senders.Go(func() {
			n := 0
			for ; sending.Err() == nil; n++ {
				m := apns.Notification{
					ID: apns.NotificationID(apns.NewUUID()), Topic: topic, PushType: push, Priority: apns.PriorityImmediate,
					Payload: apns.Payload(`{"aps":{"alert":"hi"}}`),
				}
				if _, err := sender.Push(ctx, v.tokens[push], m); err != nil {
					t.Errorf("push: %v", err)
					return
				}
				if err := v.until(ctx, func() bool { return v.handled[m.ID] > 0 }); err != nil {
					t.Errorf("accepted, and never handled: %s: %v", m.ID, err)
					return
				}
			}
			mu.Lock()
			accepted = append(accepted, n)
			mu.Unlock()
		})
	}
	for range rounds {
		select {
		case <-time.After(rand.N(400 * time.Millisecond)):
		case <-ctx.Done():
		}
		kill()
		lives.Wait()
		kill = begin()
	}
	stop()
	senders.Wait()
	kill()
	lives.Wait()

	total := 0
	for _, n := range accepted {
		total += n
	}
	for id, n := range v.handled {
		if n != 1 {
			t.Errorf("%s: handled %d times", id, n)
		}
	}
	if v.twice > 0 || len(v.handled) != total {
		t.Errorf("got %d handled, %d of them twice; want %d", len(v.handled), v.twice, total)
	}
	t.Logf("%d kills: %d accepted, %d handled, %d offered again after a kill and known to the app", rounds, total, len(v.handled), v.again)
}

// bridge makes the courier of p known to other processes, and returns where.
func bridge(t *testing.T, p *apnstest.Platform) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	ctx := context.WithoutCancel(t.Context())
	running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := p.Dial(ctx, "tcp", p.CourierAddr())
			if err != nil {
				_ = near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				running.Go(func() {
					if _, err := io.Copy(way[0], way[1]); err != nil && !errors.Is(err, net.ErrClosed) {
						t.Logf("bridge: %v", err) // one that was killed
					}
					_ = way[0].Close()
					_ = way[1].Close()
				})
			}
		}
	})
	return l.Addr().String()
}
