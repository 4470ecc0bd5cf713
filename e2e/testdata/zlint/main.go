// Zlint lints certificates with github.com/zmap/zlint, the linter that
// authorities of the public web run before they issue, and prints what it
// finds. The arguments are files, each a certificate in DER.
//
// It is a module of its own, so that the linter and what it needs stay out of
// Herald's go.mod. Version 3.6.8 is the newest that installs.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// finding is a lint that a certificate does not pass.
type finding struct {
	File        string `json:"file"`
	Lint        string `json:"lint"`
	Status      string `json:"status"` // info, warn, error or fatal
	Details     string `json:"details,omitempty"`
	Source      string `json:"source"`
	Citation    string `json:"citation"`
	Description string `json:"description"`
}

// report is what is printed.
type report struct {
	Applied  map[string]int `json:"applied"` // by file, how many lints had something to say
	Findings []finding      `json:"findings"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("zlint: ")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

// run lints the files, each a certificate in DER.
func run(files []string) error {
	r := report{Applied: make(map[string]int), Findings: []finding{}}
	for _, file := range files {
		der, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for name, result := range zlint.LintCertificate(cert).Results {
			if result.Status >= lint.Pass {
				r.Applied[file]++
			}
			if result.Status <= lint.Pass {
				continue
			}
			meta := lint.GlobalRegistry().CertificateLints().ByName(name)
			if meta == nil {
				return fmt.Errorf("lint %s is not in the registry", name)
			}
			r.Findings = append(r.Findings, finding{
				file, name, result.Status.String(), result.Details,
				string(meta.Source), meta.Citation, meta.Description,
			})
		}
	}
	slices.SortFunc(r.Findings, func(a, b finding) int {
		return strings.Compare(a.File+" "+a.Lint, b.File+" "+b.Lint)
	})
	return json.NewEncoder(os.Stdout).Encode(r)
}
