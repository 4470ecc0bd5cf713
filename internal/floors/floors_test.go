package floors

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// listed is what `go list` says of a package.
type listed struct {
	ImportPath string
	Imports    []string
	Module     struct{ Path string }
}

// rules is the map together with what follows from it.
type rules struct {
	floors map[string]Floor
	narrow map[string][]string
}

// home returns the entry of the map that covers a package: its own, or the
// nearest above it.
func (r rules) home(pkg string) (string, bool) {
	for p := pkg; p != "." && p != "/"; p = path.Dir(p) {
		if _, ok := r.floors[p]; ok {
			return p, true
		}
	}
	return "", false
}

// broken returns what is wrong with a package's imports, all given as paths
// below the module.
func (r rules) broken(pkg string, imports []string) (faults []string) {
	home, ok := r.home(pkg)
	if !ok {
		return []string{pkg + " is not on the map: give it a floor in internal/floors"}
	}
	for _, imp := range imports {
		from, ok := r.home(imp)
		switch narrow, isNarrow := r.narrow[home]; {
		case !ok:
			faults = append(faults, pkg+" imports "+imp+", which is not on the map")
		case from == home: // a suite and its room, a store and its kin
		case isNarrow && !slices.Contains(narrow, from):
			faults = append(faults, pkg+" may import only "+strings.Join(narrow, ", ")+", not "+imp)
		case r.floors[from] >= r.floors[home]:
			faults = append(faults, pkg+" imports "+imp+", which stands no lower")
		}
	}
	return faults
}

func TestImportsGoDown(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Module", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	r := rules{Map, Narrow}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; seen++ {
		var p listed
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		below := p.Module.Path + "/"
		var imports []string
		for _, imp := range p.Imports {
			if imp, ours := strings.CutPrefix(imp, below); ours {
				imports = append(imports, imp)
			}
		}
		for _, fault := range r.broken(strings.TrimPrefix(p.ImportPath, below), imports) {
			t.Error(fault)
		}
	}
	if seen < 3 {
		t.Errorf("go list showed %d packages: the rule was not tested", seen)
	}
}

// TestBroken proves that the rule can fail.
func TestBroken(t *testing.T) {
	r := rules{Map, Narrow}
	for _, tt := range []struct {
		name    string
		pkg     string
		imports []string
		want    int // faults
	}{
		{"down", "gateway", []string{"spool", "apns"}, 0},
		{"a suite and its room", "spool/spooltest", []string{"spool", "apns"}, 0},
		{"sideways", "gateway", []string{"courier"}, 1},
		{"sideways between rooms", "spool", []string{"registry"}, 1},
		{"up", "apns", []string{"wire"}, 1},
		{"device into a room", "device", []string{"registry", "wire"}, 1},
		{"a suite into another room", "spool/spooltest", []string{"registry"}, 1},
		{"not on the map", "helpers", nil, 1},
		{"imports what is not on the map", "gateway", []string{"helpers"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := r.broken(tt.pkg, tt.imports); len(got) != tt.want {
				t.Errorf("got %q, want %d faults", got, tt.want)
			}
		})
	}
}
