package crash

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/device"
)

// deviceVariable names the folder of the devices that this program is to be,
// instead of running tests.
const deviceVariable = "HERALD_TEST_CRASH_DEVICES"

// Files in that folder, beside those of the devices.
const (
	crowdFile   = "crowd.json"
	courierFile = "courier" // the courier's address, while one serves
	handledFile = "handled" // what the apps have done: a line for each notification
)

// crowdSetup says which devices there are.
type crowdSetup struct {
	Numbers   []int
	Roots     []byte
	Enrolment string
}

// crowd is devices in a process of their own, which is killed.
type crowd struct {
	dir     string
	ledger  *ledger
	reading sync.WaitGroup

	cmd   *exec.Cmd
	ended chan struct{}
	again atomic.Int64 // times that an app was given what it knew
}

// newCrowd starts the devices of a world that are to be killed.
func newCrowd(t *testing.T, w *world) *crowd {
	t.Helper()
	c := &crowd{dir: w.dir, ledger: w.ledger}
	setup := crowdSetup{Roots: w.first.Roots, Enrolment: w.first.Enrolment}
	for _, p := range w.phones {
		if p.habit == dies {
			setup.Numbers = append(setup.Numbers, p.number)
		}
	}
	text, err := json.Marshal(setup)
	if err != nil {
		t.Fatal(err)
	}
	handled, err := os.Create(filepath.Join(c.dir, handledFile))
	if err := errors.Join(err, os.WriteFile(filepath.Join(c.dir, crowdFile), text, 0o600), c.tell(w.first.Courier)); err != nil {
		t.Fatal(err)
	}
	w.service.told = c.tell
	reading, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	c.reading.Go(func() { c.read(reading, t, handled) })
	c.start(t)
	t.Cleanup(func() {
		c.kill()
		stop()
		c.reading.Wait()
	})
	return c
}

// tell tells the devices where the courier is, or that there is none.
func (c *crowd) tell(courier string) error {
	path := filepath.Join(c.dir, courierFile)
	if courier == "" {
		return os.Remove(path)
	}
	if err := os.WriteFile(path+".part", []byte(courier), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// start starts the process.
func (c *crowd) start(t *testing.T) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	cmd := exec.Command(program) //nolint:noctx // kill ends it
	cmd.Env = append(os.Environ(), deviceVariable+"="+c.dir)
	cmd.Stderr = &prefixed{t: t, who: "devices"}
	if _, err := cmd.StdinPipe(); err != nil { // ends with this process, and the devices with it
		t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	c.cmd, c.ended = cmd, make(chan struct{})
	go func() {
		defer close(c.ended)
		_ = cmd.Wait() // it is killed
	}()
}

// kill ends the process as kill -9 does, and waits for its end.
func (c *crowd) kill() {
	if c.cmd != nil {
		_ = c.cmd.Process.Kill()
		<-c.ended
		c.cmd = nil
	}
}

// read reads what the apps note, until ctx ends.
func (c *crowd) read(ctx context.Context, t *testing.T, f *os.File) {
	t.Helper()
	defer func() { _ = f.Close() }()
	lines := bufio.NewReader(f)
	var part string
	for {
		line, err := lines.ReadString('\n')
		part += line
		if errors.Is(err, io.EOF) {
			if ctx.Err() != nil {
				return
			}
			sleep(ctx, 10*time.Millisecond)
			continue
		}
		if err != nil {
			t.Error(err)
			return
		}
		box, id, ok := parseLine(part)
		part = ""
		switch {
		case !ok:
			t.Errorf("what the apps note cannot be read: %q", line)
		case strings.HasPrefix(line, againWord):
			c.again.Add(1)
		default:
			c.ledger.arrive(box, id, "")
		}
	}
}

// againWord begins a line on what an app was given again, and had done.
const againWord = "again "

// line returns what an app notes of a notification.
func line(box mailbox, id apns.NotificationID) string {
	return fmt.Sprintf("%d %s %s\n", box.device, box.topic, id)
}

func parseLine(s string) (box mailbox, id apns.NotificationID, ok bool) {
	n, err := fmt.Sscanf(strings.TrimPrefix(s, againWord), "%d %s %s\n", &box.device, &box.topic, &id)
	return box, id, err == nil && n == 3
}

// apps are those on the devices of a process. Each does what it does once: it
// notes what it has done, and looks there when it is given something again, as an
// app has to that is killed (see package device).
type apps struct {
	mu   sync.Mutex
	file *os.File        // guarded by mu
	done map[string]bool // lines in file; guarded by mu
}

func openApps(dir string) (*apps, error) {
	file, err := os.OpenFile(filepath.Join(dir, handledFile), os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	a := &apps{file: file, done: make(map[string]bool)}
	text, err := io.ReadAll(file)
	for l := range strings.Lines(string(text)) {
		a.done[l] = true
	}
	return a, err
}

// handle is world.arrived.
func (a *apps) handle(box mailbox, n device.Notification) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := line(box, n.ID)
	if n.Again && a.done[l] {
		l = againWord + l
	}
	a.done[l] = true
	if _, err := a.file.WriteString(l); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
	}
}

// beDevices is devices, until standard input ends.
func beDevices(ctx context.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, crowdFile))
	if err != nil {
		return err
	}
	var setup crowdSetup
	if err := json.Unmarshal(text, &setup); err != nil {
		return err
	}
	w := &world{first: ready{Enrolment: setup.Enrolment}, roots: x509.NewCertPool(), dir: dir}
	if !w.roots.AppendCertsFromPEM(setup.Roots) {
		return errors.New("no authority to trust")
	}
	all, err := openApps(dir)
	if err != nil {
		return err
	}
	w.arrived = all.handle
	courier := func() (string, error) {
		text, err := os.ReadFile(filepath.Join(dir, courierFile))
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return string(text), err
	}
	w.serving = func() bool { at, _ := courier(); return at != "" }
	w.courier = func(ctx context.Context, network, _ string) (net.Conn, error) {
		for {
			if at, err := courier(); err != nil {
				return nil, err
			} else if at != "" {
				return new(net.Dialer).DialContext(ctx, network, at)
			}
			if sleep(ctx, 10*time.Millisecond); ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, n := range setup.Numbers {
		w.running.Go(func() {
			if err := (&phone{world: w, number: n}).live(ctx, nil); err != nil {
				_, _ = fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	cancel()
	w.running.Wait()
	return err
}
