package dev

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
	"github.com/heraldpush/herald/device"
	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/spool"
)

// runEnv names the folder that a process of TestKill runs on.
const runEnv = "HERALD_TEST_RUN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(runEnv); dir != "" {
		os.Exit(runForTest(dir))
	}
	os.Exit(m.Run())
}

// runForTest runs a platform until it is killed, and writes its values as a line
// once it answers.
func runForTest(dir string) int {
	err := Run(context.Background(), Config{
		Dir: dir, Addr: netip.MustParseAddr("127.0.0.1"), Ports: PortsAuto, Logger: slog.New(slog.DiscardHandler),
		Show:  func(device.Presentation) {},
		Ready: func(r Running) { _ = json.NewEncoder(os.Stdout).Encode(r.Values) },
	})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// process is a platform in a process of its own.
type process struct {
	Values
	cmd *exec.Cmd
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), runEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the platform said nothing: %v, %v", err, cmd.Wait())
	}
	if err := json.Unmarshal(line, &p.Values); err != nil {
		t.Fatal(err)
	}
	return p
}

// kill kills the process, as kill -9 does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
}

func (p *process) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(t, p.Values[KeyCA]))
	return roots
}

// push sends notifications, numbered from 1, with ids that say their number.
func (p *process) push(t *testing.T, to apns.DeviceToken, topics ...apns.Topic) {
	t.Helper()
	id, err := credential.ParseIdentityPEM(read(t, p.Values[KeyCertificatePEM]))
	if err != nil {
		t.Fatal(err)
	}
	presented := id.TLS()
	sender, err := apnsclient.New(apnsclient.Config{
		Environment: apns.Sandbox, Host: p.Values[KeyGatewaySandbox], ServerName: p.Values[KeyServerName], Roots: p.roots(t), Certificate: &presented,
		Timeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	for i, topic := range topics {
		n := apns.Notification{
			ID: apns.NotificationID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1)), Topic: topic, PushType: apns.PushTypeAlert,
			Payload: apns.Payload(`{"aps":{"alert":"hello"}}`),
		}
		if _, err := sender.Push(t.Context(), to, n); err != nil {
			t.Fatalf("push %d: %v", i+1, err)
		}
	}
}

// runDevice starts a device with the app, and returns its device token and what it
// receives.
func (p *process) runDevice(t *testing.T, dir string) (_ apns.DeviceToken, received <-chan device.Notification, stop func()) {
	t.Helper()
	d, err := device.New(device.Config{
		Courier: p.Values[KeyCourier], Environment: apns.Sandbox, Activation: p.Values[KeyActivation], EnrolmentCode: p.Values[KeyEnrolmentCode],
		Roots: p.roots(t), Dir: dir, Logger: slog.New(slog.DiscardHandler), Screen: func(device.Presentation) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	tokens, arrived := make(chan apns.DeviceToken, 10), make(chan device.Notification, 100)
	if err := d.RegisterForRemoteNotifications(Topic, device.Alert, device.Delegate{
		DidRegister: func(token apns.DeviceToken) { tokens <- token },
		DidReceive:  func(n device.Notification) { arrived <- n },
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("device: %v", err)
		}
	}
	select {
	case token := <-tokens:
		return token, arrived, stop
	case <-time.After(30 * time.Second):
		stop()
		t.Fatal("no device token")
	}
	return "", nil, nil
}

// TestKill proves that what was answered with 200 survives kill -9, arrives when the
// device comes back, and is not taken a second time.
func TestKill(t *testing.T) {
	dir, deviceDir := filepath.Join(t.TempDir(), "platform"), filepath.Join(t.TempDir(), "device")
	p := startProcess(t, dir)
	token, _, stop := p.runDevice(t, deviceDir)
	stop()
	idle, err := apns.ParseDeviceToken(p.Values[KeyBenchDeviceToken])
	if err != nil {
		t.Fatal(err)
	}
	p.push(t, token, Topic)
	p.push(t, idle, Topic, Topic, Topic)
	p.kill(t)

	before := stored(t, dir)
	if before.Notifications != 2 { // the newest for each device
		t.Errorf("after the kill: got %d stored notifications, want 2", before.Notifications)
	}

	p = startProcess(t, dir)
	p.push(t, idle, Topic, Topic, Topic) // repeats
	again, received, stop := p.runDevice(t, deviceDir)
	if again != token {
		t.Errorf("device token: got %x, want %x", again, token)
	}
	select {
	case n := <-received:
		if n.ID != "00000000-0000-4000-8000-000000000001" {
			t.Errorf("received: got %s, want the one before the kill", n.ID)
		}
	case <-time.After(30 * time.Second):
		t.Error("what was pushed before the kill did not arrive")
	}
	stop()
	p.kill(t)
	after := stored(t, dir)
	if after.Newest != before.Newest {
		t.Errorf("newest: got %v, want %v: repeats are not taken", after.Newest.Time(), before.Newest.Time())
	}
}

// stored returns how full the spool of a folder is on which nobody runs.
func stored(t *testing.T, dir string) spool.Usage {
	t.Helper()
	f, err := folder.Open(t.Context(), dir, folder.MadeByDev)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := f.OpenSpool(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.Usage()
}
