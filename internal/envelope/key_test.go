package envelope

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeyHides proves that nothing that prints, logs or marshals shows a key.
func TestKeyHides(t *testing.T) {
	k := goldenKey(t)
	s := newSealer(t, k)
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("logged", slog.Any("key", k), slog.Any("within", struct{ K Key }{k}), slog.Any("sealer", s))
	}
	js, err := json.Marshal(map[string]any{"key": k, "within": struct{ K Key }{k}})
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		Exported Key
		private  Key
		sealer   *Sealer
	}
	var out strings.Builder
	out.WriteString(log.String() + string(js))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T"} {
		for _, v := range []any{k, &k, []Key{k}, holder{k, k, s}, &holder{k, k, s}, s, *s, map[string]Key{"k": k}} {
			out.WriteString(fmt.Sprintf(verb, v) + "\n")
		}
	}
	for name, shown := range map[string]string{
		"hex": hex.EncodeToString(k.secret()[:4]), "upper hex": "00010203", "list": "0 1 2 3", "go list": "0x0, 0x1, 0x2",
		"raw": string(k.secret()[:4]), "base64": "AAECAw",
	} {
		if strings.Contains(out.String(), shown) {
			t.Errorf("%s of the key is shown:\n%s", name, out.String())
		}
	}
	if got, want := fmt.Sprint(k), "master key "+goldenID; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(Key{}), "no master key"; got != want {
		t.Errorf("the zero Key: got %q, want %q", got, want)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	made, err := CreateKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode: got %v, %v, want -rw-------", info.Mode(), err)
	}
	if _, err := CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: got %v, want %v", err, fs.ErrExist)
	}
	loaded, err := LoadKeyFile(path)
	if err != nil || !bytes.Equal(loaded.secret(), made.secret()) || loaded.ID() != made.ID() {
		t.Errorf("got %v, %v, want %v", loaded, err, made)
	}
	if _, err := CreateKeyFile(filepath.Join(t.TempDir(), "none", "master.key")); err == nil {
		t.Error("made in a folder that is missing")
	}
}

// goldenFile is the file of goldenKey.
const goldenFile = "herald-master-key-1 1fa5a59729d2282f 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

func TestLoadKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	write := func(text string, mode fs.FileMode) {
		if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{goldenFile, strings.TrimSpace(goldenFile), " " + goldenFile + "\n"} {
		write(text, 0o400)
		if k, err := LoadKeyFile(path); err != nil || k.ID().String() != goldenID {
			t.Errorf("%q: got %v, %v, want %s", text, k, err, goldenID)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":           {"", "empty"},
		"something else":  {"hello", "no master key of herald"},
		"cut":             {goldenFile[:80], "damaged"},
		"cut by a byte":   {goldenFile[:len(goldenFile)-2], "damaged"},
		"a digit changed": {strings.Replace(goldenFile, "1e1f", "1e1e", 1), "damaged"},
		"not hex":         {strings.Replace(goldenFile, "1e1f", "1e1g", 1), "damaged"},
		"too long a key":  {strings.Replace(goldenFile, "1e1f", "1e1f20", 1), "damaged"},
		"more":            {goldenFile + goldenFile, "no master key of herald"},
		"another version": {strings.Replace(goldenFile, "key-1", "key-2", 1), "another version"},
		"too long":        {strings.Repeat(" ", maxKeyFile) + goldenFile, "no master key of herald"},
	} {
		write(tt.text, 0o600)
		_, err := LoadKeyFile(path)
		e, ok := errors.AsType[*KeyFileError](err)
		if !ok || e.Path != path || !strings.Contains(e.Reason, tt.want) {
			t.Errorf("%s: got %v, want that it says %q", name, err, tt.want)
		}
		if ok && strings.Contains(err.Error(), "0001") {
			t.Errorf("%s: %q shows the key", name, err)
		}
	}
	for mode, want := range map[fs.FileMode][2]bool{ // as key file, as credential
		0o600: {true, true}, 0o400: {true, true}, 0o440: {false, true}, 0o640: {false, true},
		0o644: {false, false}, 0o604: {false, false}, 0o620: {false, true},
	} {
		write(goldenFile, 0o600)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for i, load := range []func(string) (Key, error){LoadKeyFile, LoadCredential} {
			if _, err := load(path); (err == nil) != want[i] {
				t.Errorf("mode %04o, loader %d: got %v", mode, i, err)
			}
		}
	}
	if _, err := LoadKeyFile(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := LoadKeyFile(filepath.Dir(path)); err == nil {
		t.Error("a folder was taken")
	}
}
