package device

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/heraldpush/herald/apns"
)

// kept returns the files of dir with what they hold.
func kept(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of %s: got %o, want 600", e.Name(), got)
		}
	}
	return files
}

func fullMemory() *memory {
	m := newMemory()
	m.setBase(apns.BaseToken(fill("B")))
	m.register("com.example.demo", Alert|Sound, Delegate{})
	m.register("com.example.second", 0, Delegate{})
	m.apps[apns.Topic("com.example.demo").Hash()].token = apns.DeviceToken(fill("A"))
	return m
}

func TestMemoryIsKept(t *testing.T) {
	f := folder{dir: filepath.Join(t.TempDir(), "new", "folder"), environment: apns.Sandbox}
	if err := f.make(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: got %v and %v, want mode 700", info.Mode(), err)
	}
	want := fullMemory().document(f.environment, "id")
	if err := f.saveMemory(want); err != nil {
		t.Fatal(err)
	}
	kept(t, f.dir)
	m, err := f.loadMemory("id")
	if err != nil {
		t.Fatal(err)
	}
	got := m.document(f.environment, "id")
	if err := f.saveMemory(got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); m.changed || diff != "" {
		t.Errorf("document, changed %v (-want +got):\n%s", m.changed, diff)
	}
}

func TestDamagedFilesAreLeft(t *testing.T) {
	good := folder{dir: t.TempDir(), environment: apns.Sandbox}
	if err := good.saveMemory(fullMemory().document(apns.Sandbox, "")); err != nil {
		t.Fatal(err)
	}
	memory := kept(t, good.dir)[memoryFile]
	tests := []struct {
		name, file, content, want string
	}{
		{"memory is empty", memoryFile, "", "device.json: empty"},
		{"memory is cut off", memoryFile, memory[:len(memory)/2], "device.json: damaged"},
		{"memory has a tail", memoryFile, memory + "x", "something comes after the end"},
		{"memory of another version", memoryFile, strings.Replace(memory, `"version": 2`, `"version": 3`, 1), "version 3"},
		{"memory of the other environment", memoryFile, strings.Replace(memory, "sandbox", "production", 1), "environment production"},
		{"memory with a bad topic", memoryFile, strings.Replace(memory, "com.example.demo", "..", 1), `app "..": not a topic`},
		{"memory with bad types", memoryFile, strings.Replace(memory, "alert, sound", "smell", 1), "notification types"},
		{"memory with a short token", memoryFile, strings.Replace(memory, "4242", "", 1), "base token: 30 bytes, want 32"},
		{"memory with a bad entry", memoryFile, strings.Replace(memory, `"version": 2,`, `"version": 1, "received": ["x"],`, 1), "received"},
		{"memory without identity", memoryFile, memory, "of device"},
		{"identity is empty", identityFile, "", "identity.pem: empty"},
		{"identity is nonsense", identityFile, "nonsense", "identity.pem: identity: no PEM block"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			c := Config{
				Courier: "courier.test:5223", Environment: apns.Sandbox, Dir: dir,
				Activation: "https://activation.test/", EnrolmentCode: "code",
			}
			if tt.name == "memory without identity" {
				content := strings.Replace(tt.content, `"device_id": ""`, `"device_id": "x"`, 1)
				if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := kept(t, dir)[tt.file]
			_, err := New(c)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: got %v, want %q", err, tt.want)
			}
			if after := kept(t, dir); len(after) != 1 || after[tt.file] != before {
				t.Errorf("files: got %q, want them as they were", after)
			}
		})
	}
}

func TestPendingKeyIsKept(t *testing.T) {
	f := folder{dir: t.TempDir(), environment: apns.Sandbox}
	first, err := f.pendingKey()
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.pendingKey()
	if err != nil || !first.Equal(second) {
		t.Errorf("second key: got another or %v, want the first", err)
	}
	text := kept(t, f.dir)[pendingFile]
	if err := os.WriteFile(f.path(pendingFile), []byte(text[:len(text)/2]), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.pendingKey(); err == nil || !strings.Contains(err.Error(), "activation.pem: damaged") {
		t.Errorf("damaged key: got %v", err)
	}
}

func TestFolderCanNotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{
		Courier: "courier.test:5223", Environment: apns.Sandbox, Dir: filepath.Join(file, "sub"),
		Activation: "https://activation.test/", EnrolmentCode: "code",
	})
	if pathErr := new(fs.PathError); !errors.As(err, &pathErr) {
		t.Errorf("New: got %v, want a path error", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{
		Courier: "courier.test:5223", Environment: apns.Production,
		Activation: "https://activation.test/", EnrolmentCode: "code",
	}
	d, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.config.ServerName; got != "courier.push.apple.com" {
		t.Errorf("server name: got %q", got)
	}
	for want, spoil := range map[string]func(*Config){
		"Courier":                     func(c *Config) { c.Courier = "courier.test" },
		"Environment":                 func(c *Config) { c.Environment = 0 },
		"KeepAlive":                   func(c *Config) { c.KeepAlive = -1 },
		"Activation: want a URL":      func(c *Config) { c.Activation = "http://activation.test/" },
		"not activated yet":           func(c *Config) { c.EnrolmentCode = "" },
		"not activated yet: Activati": func(c *Config) { c.Activation = "" },
	} {
		c := good
		spoil(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: got %v, want %q", err, want)
		}
	}
	if err := d.RegisterForRemoteNotifications("..", 0, Delegate{}); err == nil {
		t.Error("registering a bad topic: got no error")
	}
	if err := d.RegisterForRemoteNotifications("com.example.demo", 8, Delegate{}); err == nil {
		t.Error("registering for unknown types: got no error")
	}
	for range 2 {
		if err := d.RegisterForRemoteNotifications("com.example.demo", Alert, Delegate{}); err != nil {
			t.Errorf("registering: got %v", err)
		}
	}
	d.UnregisterForRemoteNotifications("com.example.unknown")
}

func TestTopicsAreBounded(t *testing.T) {
	m := newMemory()
	for i := range MaxTopics {
		if !m.register(apns.Topic("com.example.n"+strings.Repeat("x", i%200)+"-"+string(rune('a'+i/200))), 0, Delegate{}) {
			t.Fatalf("topic %d: refused", i)
		}
	}
	if m.register("com.example.more", 0, Delegate{}) {
		t.Error("one too many: accepted")
	}
	m.setBase(apns.BaseToken(fill("B")))
	s := &session{memory: m, asked: make(map[hash]*request)}
	countAcks(t, s.begin().frames) // which also says that each frame is short enough
}
