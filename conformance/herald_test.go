package conformance_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/heraldpush/herald/admin"
	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnstest"
	"github.com/heraldpush/herald/conformance"
)

// prepared returns a Herald in memory, prepared for cases in an environment.
func prepared(t *testing.T, env apns.Environment) *conformance.Herald {
	t.Helper()
	p := apnstest.New(t)
	h, err := conformance.NewHerald(t.Context(), conformance.HeraldConfig{
		API: admin.Local(p.Portal), Environment: env,
		Gateways: map[apns.Environment]string{apns.Sandbox: p.GatewayAddr(apns.Sandbox), apns.Production: p.GatewayAddr(apns.Production)},
		Courier:  p.CourierAddr(), Roots: p.Roots, Dial: p.Dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// run runs all cases and returns the results.
func run(t *testing.T, cfg conformance.Config) (report conformance.Report) {
	t.Helper()
	suite, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Report = func(r conformance.Result) { report = append(report, r) }
	if err := suite.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return report
}

// TestHerald runs all cases against Herald in both environments: none fails.
func TestHerald(t *testing.T) {
	for _, env := range apns.Environments {
		t.Run(env.String(), func(t *testing.T) {
			t.Parallel()
			h := prepared(t, env)
			report := run(t, conformance.Config{Target: h.Target(), Run: cases[env], Timeout: caseTimeout})
			for _, r := range report {
				if r.Result != conformance.Passed {
					t.Log(r.Line())
				}
				if r.Result == conformance.Failed {
					t.Errorf("%s/%s fails", r.Theme, r.Name)
				}
			}
			if passed := report.Count("", conformance.Passed); passed < 500 {
				t.Errorf("got %d cases that pass, want 500 at least", passed)
			}
			var table strings.Builder
			if err := report.WriteTable(&table); err != nil {
				t.Error(err)
			}
			t.Logf("\n%s", &table)
			if err := h.Close(t.Context()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// dialNothing is a network on which nothing answers.
func dialNothing(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("nobody is there")
}
