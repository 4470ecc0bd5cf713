package crash

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/gateway"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/store/pebble"
	"github.com/heraldpush/herald/store/sqlite"
)

// environment is the one that is pushed in.
const environment = apns.Production

// serviceVariable names the folder that this program is to serve, instead of
// running tests.
const serviceVariable = "HERALD_TEST_CRASH_SERVICE"

func TestMain(m *testing.M) {
	for variable, part := range map[string]func(context.Context, string) error{
		serviceVariable: serve, deviceVariable: beDevices, pushServerVariable: bePushServer,
	} {
		dir := os.Getenv(variable)
		if dir == "" {
			continue
		}
		if err := part(context.Background(), dir); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// ready is what a service says when it serves.
type ready struct {
	Gateway, Courier string // addresses
	ServerName       string
	Roots            []byte // PEM
	// The rest is said by the first one in a folder alone.
	Team      apns.TeamID `json:",omitempty"`
	KeyID     apns.KeyID  `json:",omitempty"`
	P8        []byte      `json:",omitempty"`
	Enrolment string      `json:",omitempty"`
}

// topics are the apps that each device has. Nothing of the last one is stored.
var topics = func() (all []apns.Topic) {
	for i := range 24 {
		all = append(all, apns.Topic(fmt.Sprintf("com.example.app%d", i)))
	}
	return all
}()

func isStored(t apns.Topic) bool { return t != topics[len(topics)-1] }

// serve is the push service over a folder, until standard input ends.
func serve(ctx context.Context, dir string) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, missing := os.Stat(filepath.Join(dir, "herald.db"))
	db, err := sqlite.Open(ctx, filepath.Join(dir, "herald.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := pebble.Open(filepath.Join(dir, "spool"), pebble.Config{ReserveBytes: 4 << 20, Logger: log})
	if err != nil {
		return err
	}
	world, err := platform.Open(ctx, platform.Config{
		PortalStore: db.Portal(), RegistryStore: db.Registry(), SpoolStore: store,
		GatewayLimits: new(gateway.DevelopmentLimits()), DrainTimeout: 100 * time.Millisecond, Logger: log,
	})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	r := ready{ServerName: world.ServerName(), Roots: world.Portal.RootPEM()}
	if missing != nil {
		if err := r.found(ctx, world); err != nil {
			return err
		}
	}
	var doors [2]net.Listener
	for i := range doors {
		if doors[i], err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	r.Gateway, r.Courier = doors[0].Addr().String(), doors[1].Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		err = world.Serve(ctx, platform.Listeners{Gateway: map[apns.Environment]net.Listener{environment: doors[0]}, Courier: doors[1]})
	})
	said := json.NewEncoder(os.Stdout).Encode(r)
	if said == nil {
		_, said = io.Copy(io.Discard, os.Stdin)
	}
	cancel()
	serving.Wait()
	return errors.Join(err, said)
}

// found makes what a new platform needs.
func (r *ready) found(ctx context.Context, world *platform.Platform) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	developer, err := world.Develop(ctx, "Crash", topics[0], key)
	if err != nil {
		return err
	}
	for _, topic := range topics[1:] {
		if _, err := world.Portal.RegisterApp(ctx, developer.Team.ID, topic, "App"); err != nil {
			return err
		}
	}
	r.Team, r.KeyID, r.P8 = developer.Team.ID, developer.KeyID, developer.P8
	_, r.Enrolment, err = world.Portal.CreateEnrolmentCode(ctx, -1, 0)
	return err
}

// service is a service that can be killed and started again.
type service struct {
	dir string
	// told is called with the courier's address when one serves, and with an empty
	// one when it was killed. Nil means nobody.
	told func(courier string) error

	mu      sync.Mutex
	cmd     *exec.Cmd     // nil if none runs; guarded by mu
	ended   chan struct{} // of cmd; guarded by mu
	at      ready         // of cmd; guarded by mu
	serving chan struct{} // closed while one serves; guarded by mu
}

func newService(t *testing.T, dir string) *service {
	t.Helper()
	s := &service{dir: dir, serving: make(chan struct{})}
	t.Cleanup(s.kill)
	return s
}

// startTimeout bounds how long a service takes until it serves.
const startTimeout = time.Minute

// start starts the process. It serves when launched has closed, or has
// ended.
func (s *service) start(t *testing.T) (launched <-chan error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program) //nolint:noctx // kill ends it
	cmd.Env = append(os.Environ(), serviceVariable+"="+s.dir)
	cmd.Stderr = &prefixed{t: t, who: "service"}
	if _, err := cmd.StdinPipe(); err != nil { // ends with this process, and the service with it
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	s.mu.Lock()
	s.cmd, s.ended = cmd, ended
	s.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		defer close(ended)
		line, err := bufio.NewReader(out).ReadBytes('\n')
		var at ready
		if err == nil {
			err = json.Unmarshal(line, &at)
		}
		if err == nil {
			err = s.tell(at.Courier)
		}
		if err == nil {
			s.mu.Lock()
			s.at = at
			close(s.serving)
			s.mu.Unlock()
		}
		done <- err
		_ = cmd.Wait() // it is killed
		_ = s.tell("") // of one that is not there, nobody is the worse
		s.mu.Lock()
		defer s.mu.Unlock()
		s.cmd = nil
		if err == nil {
			s.serving = make(chan struct{})
		}
	}()
	return done
}

// run starts the process and waits until it serves.
func (s *service) run(t *testing.T) ready {
	t.Helper()
	select {
	case err := <-s.start(t):
		if err != nil {
			t.Fatalf("the service ended before it served: %v", err)
		}
	case <-time.After(startTimeout):
		t.Fatal("the service does not serve")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// kill ends the process as kill -9 does, and waits for its end.
func (s *service) kill() {
	s.mu.Lock()
	cmd, ended := s.cmd, s.ended
	s.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-ended
	}
}

func (s *service) tell(courier string) error {
	if s.told == nil {
		return nil
	}
	return s.told(courier)
}

// pid returns the process, or 0.
func (s *service) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// dial returns a function that connects to the address that of picks, wherever it
// is now. While nothing serves it waits, as for a network that is down.
func (s *service) dial(of func(ready) string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		s.mu.Lock()
		serving := s.serving
		s.mu.Unlock()
		select {
		case <-serving:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		s.mu.Lock()
		address := of(s.at)
		s.mu.Unlock()
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// prefixed logs what a process says.
type prefixed struct {
	t   *testing.T
	who string

	mu sync.Mutex
	n  int // lines, bounded; guarded by mu
}

const maxLines = 10

// Write implements io.Writer.
func (p *prefixed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n++; p.n <= maxLines {
		p.t.Logf("%s: %s", p.who, b)
	}
	return len(b), nil
}
