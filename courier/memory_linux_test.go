package courier_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/store/sqlite"
	"github.com/heraldpush/herald/wire"
)

// Memory of the service, in bytes for each idle connection: as it is, without
// having collected garbage, and with all that hangs on the connection. A run with
// few devices may take a tenth more.
const (
	maxIdleNative   = 15 << 10
	maxIdlePortable = 21 << 10
)

// gcPercent is the setting of the garbage collector for a service: as it is, half
// as much garbage as there is live memory.
const gcPercent = 50

// crowd is what the process that has the service tells the one that has the
// devices.
type crowd struct {
	Address string
	Root    []byte
	Devices []crowdDevice
}

type crowdDevice struct{ Key, Certificate []byte }

// crowdSize returns how many devices there are.
func crowdSize() int {
	if os.Getenv("HERALD_LONG") == "1" {
		return 15_000
	}
	return 1500
}

// TestIdleMemory holds the memory that an idle connection costs the service, on
// each transport.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("connects 1,500 devices")
	}
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system does not tell how much memory a process has")
	}
	for _, tt := range []struct {
		on   transport
		most int
	}{{native, maxIdleNative}, {portable, maxIdlePortable}} {
		t.Run(string(tt.on), func(t *testing.T) {
			most := tt.most
			if crowdSize() < 10_000 {
				most += most / 10
			}
			var got int
			for range 3 { // how much garbage there is just then is chance
				if got = idleMemory(t, tt.on, crowdSize()); got <= most {
					return
				}
			}
			t.Errorf("an idle connection takes %d bytes, want at most %d", got, most)
		})
	}
}

// idleMemory returns the bytes that each of the idle connections of a service takes.
func idleMemory(t *testing.T, on transport, count int) int {
	t.Helper()
	service := startService(t, on, count+warmUp)
	all := service.crowd
	// The first connections bring in code, and what there is one of.
	connectAll(t, all, 0, warmUp, nil)()
	service.collect()
	before := service.resident()
	defer connectAll(t, all, warmUp, warmUp+count, nil)()
	<-time.After(1500 * time.Millisecond)
	asIs := (service.resident() - before) / count
	collected := (service.collect() - before) / count
	t.Logf("%d bytes an idle connection, %d after collecting", asIs, collected)
	return asIs
}

// warmUp is how many devices come and go before anything is measured.
const warmUp = 100

// serviceProcess is a process with a courier, and nothing else.
type serviceProcess struct {
	t     *testing.T
	crowd crowd
	pid   int
	in    io.Writer
	out   *bufio.Reader
}

// startService starts this test binary as the service.
func startService(t *testing.T, on transport, count int) *serviceProcess {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^TestServiceProcess$", "-test.count=1")
	cmd.Env = append(os.Environ(), "HERALD_SERVICE="+string(on), "HERALD_DEVICES="+strconv.Itoa(count))
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ended: %v", err)
		}
	})
	p := &serviceProcess{t: t, pid: cmd.Process.Pid, in: in, out: bufio.NewReader(out)}
	must(t, gob.NewDecoder(p.out).Decode(&p.crowd))
	return p
}

// resident returns the memory that the process has, in bytes.
func (p *serviceProcess) resident() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	must(p.t, err)
	for line := range strings.Lines(string(status)) {
		var kilobytes int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	p.t.Fatal("the system does not tell how much memory the process has")
	return 0
}

// collect has the process collect garbage, and returns the memory that it has.
func (p *serviceProcess) collect() int {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in, "collect")
	must(p.t, err)
	_, err = p.out.ReadString('\n')
	must(p.t, err)
	return p.resident()
}

// TestServiceProcess is the service of TestIdleMemory, in a process of its own,
// until its standard input ends.
func TestServiceProcess(t *testing.T) {
	if os.Getenv("HERALD_HEAP_PROFILE") != "" {
		runtime.MemProfileRate = 2048
	}
	on := transport(os.Getenv("HERALD_SERVICE"))
	if on == "" {
		t.Skip("is for another test")
	}
	count, err := strconv.Atoi(os.Getenv("HERALD_DEVICES"))
	must(t, err)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "herald.db")) // it commits many at once
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	s, _ := assemble(t, parts{tcp: on, portal: db.Portal()})
	c := crowd{Address: s.address, Root: s.portal.Root().Raw, Devices: make([]crowdDevice, count)}
	_, code, err := s.portal.CreateEnrolmentCode(t.Context(), -1, 0)
	must(t, err)
	var activating sync.WaitGroup
	const parts = 64
	for part := range parts {
		activating.Go(func() {
			for i := part; i < count; i += parts {
				key := newECKey(t)
				issued, err := s.portal.ActivateDevice(t.Context(), code, newRequest(t, key))
				if err != nil {
					t.Error(err)
					return
				}
				der, err := x509.MarshalPKCS8PrivateKey(key)
				if err != nil {
					t.Error(err)
					return
				}
				c.Devices[i] = crowdDevice{der, issued.DER}
			}
		})
	}
	activating.Wait()
	must(t, gob.NewEncoder(os.Stdout).Encode(c))
	c = crowd{}
	debug.SetGCPercent(gcPercent)
	debug.FreeOSMemory()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var pushes, devices int
		if n, _ := fmt.Sscanf(in.Text(), "deliver %d %d", &pushes, &devices); n == 2 {
			_, err := fmt.Fprintln(os.Stdout, int64(s.deliver(pushes, devices)))
			must(t, err)
			continue
		}
		for range 4 {
			debug.FreeOSMemory()
		}
		if name := os.Getenv("HERALD_HEAP_PROFILE"); name != "" {
			var b bytes.Buffer
			must(t, pprof.WriteHeapProfile(&b))
			must(t, os.WriteFile(name, b.Bytes(), 0o600))
		}
		_, err := fmt.Fprintln(os.Stdout, "collected")
		must(t, err)
	}
}

// connectAll connects a part of a crowd, which is idle then, or does what then
// starts, until leave is called.
func connectAll(t *testing.T, c crowd, from, to int, then func(*tcpDevice, *sync.WaitGroup)) (leave func()) {
	t.Helper()
	var mu sync.Mutex
	var conns []net.Conn // guarded by mu
	var running sync.WaitGroup
	root, err := x509.ParseCertificate(c.Root)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	next := make(chan crowdDevice)
	var connecting sync.WaitGroup
	for range 16 {
		connecting.Go(func() {
			for device := range next {
				s := &service{t: t, address: c.Address, roots: roots, dial: dialTCP}
				d := s.dialDevice(hello{})
				d.send(identity{key: parseKey(t, device.Key), chain: [][]byte{device.Certificate}}.connect(t, time.Now(), ""))
				d.base = apns.BaseToken(d.expect(wire.CommandConnectAck)[3])
				d.filter(alertTopic, voipTopic, complicationTopic)
				d.expect(wire.CommandNoStorage)
				mu.Lock()
				conns = append(conns, d.raw)
				if then != nil {
					then(d, &running)
				}
				mu.Unlock()
			}
		})
	}
	for _, device := range c.Devices[from:to] {
		next <- device
	}
	close(next)
	connecting.Wait()
	return func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
		running.Wait()
	}
}
