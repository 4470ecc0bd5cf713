package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/platform"
	"github.com/heraldpush/herald/platform/dev"
	"github.com/heraldpush/herald/platform/provide"
	"github.com/heraldpush/herald/provider"
)

// providerServeCmd runs the push server.
type providerServeCmd struct {
	Dir      string   `default:"herald-provider" env:"HERALD_PROVIDER" placeholder:"DIR" help:"Folder for everything; made if missing. Default: ${default}, or HERALD_PROVIDER."`
	Listen   listenAt `default:"127.0.0.1:8040" placeholder:"ADDR" help:"Where the API listens. Without TLS, a loopback address. Default: ${default}."`
	TLSCert  string   `name:"tls-cert" placeholder:"FILE" help:"Certificate chain of the API, PEM; read again when it changes."`
	TLSKey   string   `name:"tls-key" placeholder:"FILE" help:"Its private key, PEM."`
	Insecure bool     `help:"Listen anywhere without TLS: where something before it ends TLS."`

	Gateway        string `placeholder:"HOST:PORT" help:"Production gateway in place of Apple's."`
	GatewaySandbox string `placeholder:"HOST:PORT" help:"Sandbox gateway in place of Apple's."`
	CA             string `name:"ca" placeholder:"FILE" help:"Authority to trust for these gateways, PEM. Without it, the system's."`
	ServerName     string `placeholder:"NAME" help:"Name that their certificates have to carry. Without it, the host."`
	Dev            string `placeholder:"DIR" help:"A running herald dev, its folder or dev.json: its gateways in place of Apple's."`
	Proxy          string `placeholder:"URL" help:"Proxy to go through to the gateways: http, https, socks5 or socks5h; none for none. Without it, HTTPS_PROXY."`

	Drain time.Duration `default:"30s" placeholder:"TIME" help:"How long requests under way may take at the end. Default: ${default}."`
	traceFlags
	JSON bool `name:"json" help:"Print one flat JSON object."`
}

// Help says more than the line in the list of verbs.
func (providerServeCmd) Help() string {
	return `What is accepted is on disk before the answer, in the folder. The first start
makes an API key with which everything can be done, prints it if there is a
terminal, and keeps it in DIR/admin.key for the other verbs of herald provider
on this machine. Without that file, or when its key was revoked, the next start
makes another.

    herald provider serve --dir push
    herald provider serve --dir push --listen :443 --tls-cert cert.pem --tls-key key.pem

Ctrl-C ends it: requests under way are answered, and what waits is sent after the
next start.`
}

// Run implements the verb.
func (c providerServeCmd) Run(ctx context.Context, s streams, log *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	gateway, err := c.gateways()
	if err != nil {
		return err
	}
	platform.TuneSpeed()
	var unprinted error
	err = provide.Run(ctx, provide.Config{
		Dir: c.Dir, Listen: string(c.Listen), CertFile: c.TLSCert, KeyFile: c.TLSKey, Insecure: c.Insecure,
		Gateway: gateway, Drain: c.Drain, Trace: c.config(false), TraceOff: c.off(), Logger: log,
		Ready: func(r provide.Running) { unprinted = c.tell(s.out, r) },
	})
	if at, ok := errors.AsType[*platform.ListenError](err); ok {
		if errors.Is(err, platform.ErrNotLoopback) {
			return withHint(err, "give it a certificate with --tls-cert and --tls-key; --insecure goes without, where something before it ends TLS.")
		}
		return withHint(err, "%s", listenRemedy(at, "herald provider serve"))
	}
	return errors.Join(withProviderRemedy(err), unprinted)
}

// check finds what is missing or too much on the command line.
func (c providerServeCmd) check() error {
	switch {
	case c.Drain <= 0:
		return usageError("--drain %v: want more than 0", c.Drain)
	case c.Listen == "":
		return usageError("--listen none: there is nothing else to do")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return usageError("--tls-cert and --tls-key go together")
	case c.TLSCert != "" && c.Insecure:
		return usageError("--insecure: with a certificate it is not")
	case c.Dev != "" && (c.Gateway != "" || c.GatewaySandbox != "" || c.CA != "" || c.ServerName != ""):
		return usageError("--dev knows the gateways and their certificates: it goes with no other flag about them")
	case c.Dev == "" && c.Gateway == "" && c.GatewaySandbox == "" && (c.CA != "" || c.ServerName != ""):
		return usageError("--ca and --server-name are about --gateway and --gateway-sandbox")
	}
	return nil
}

// gateways returns how the push service is reached.
func (c providerServeCmd) gateways() (provider.Gateway, error) {
	hosts := map[apns.Environment]string{apns.Production: c.Gateway, apns.Sandbox: c.GatewaySandbox}
	ca, name := c.CA, c.ServerName
	if c.Dev != "" {
		v, err := readDevValues(c.Dev)
		if err != nil {
			return nil, err
		}
		hosts = map[apns.Environment]string{apns.Production: v[dev.KeyGatewayProduction], apns.Sandbox: v[dev.KeyGatewaySandbox]}
		ca, name = v[dev.KeyCA], v[dev.KeyServerName]
	}
	roots, err := readRoots(ca)
	if err != nil {
		return nil, err
	}
	proxies := make(map[apns.Environment]*url.URL)
	for e, host := range hosts {
		if proxies[e], err = (pushSender{Proxy: c.Proxy}).proxy(host); err != nil {
			return nil, err
		}
	}
	return func(e apns.Environment) apnsclient.Config {
		cfg := apnsclient.Config{Environment: e, Host: hosts[e], Proxy: proxies[e]}
		if cfg.Host != "" {
			cfg.Roots, cfg.ServerName = cloneRoots(roots), name
		}
		return cfg
	}, nil
}

// cloneRoots returns roots for a sender of their own, nil for the system's.
func cloneRoots(roots *x509.CertPool) *x509.CertPool {
	if roots == nil {
		return nil
	}
	return roots.Clone()
}

// tell says that everything answers.
func (c providerServeCmd) tell(w io.Writer, r provide.Running) error {
	if c.JSON {
		return writeJSON(w, map[string]string{"dir": r.Dir, "url": r.URL, "local_url": r.Local, "admin_key_file": r.AdminKeyFile})
	}
	place := plain(r.Dir)
	if r.New {
		place += "  (new)"
	}
	if _, err := fmt.Fprintf(w, "Herald's provider runs on %s\n\n", place); err != nil {
		return err
	}
	rows := [][]string{{"  API", r.URL}}
	if r.Local != r.URL {
		rows = append(rows, []string{"  for this machine", r.Local})
	}
	rows = append(rows, []string{"  push service", c.service()}, []string{"  key for everything", "in " + r.AdminKeyFile})
	if r.AdminKey.ID() != "" && isTerminal(w) { // what a service prints ends up in logs
		rows = append(rows, []string{"", r.AdminKey.Reveal() + "  (it is not shown again)"})
	}
	if err := table(w, rows...); err != nil {
		return err
	}
	next := "herald provider app list"
	if r.New {
		next = "herald provider app add ID BUNDLEID"
	}
	_, err := fmt.Fprintf(w, "\nNext: %s%s\nCtrl-C ends everything.\n", next, (providerAt{Dir: c.Dir}).again())
	return err
}

// service says which push service it is, for people.
func (c providerServeCmd) service() string {
	switch {
	case c.Dev != "":
		return "herald dev in " + c.Dev
	case c.Gateway == "" && c.GatewaySandbox == "":
		return "Apple's"
	}
	return "production: " + cmp.Or(c.Gateway, "Apple's") + ", sandbox: " + cmp.Or(c.GatewaySandbox, "Apple's")
}
