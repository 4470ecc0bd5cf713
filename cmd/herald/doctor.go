package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
	"github.com/heraldpush/herald/apnsclient"
	"github.com/heraldpush/herald/credential"
)

// doctorCmd finds out what is wrong on the way from a credential to a gateway.
type doctorCmd struct {
	Credential string        `placeholder:"FILE" help:"What a server sends with: a .p12, a ck.pem or a .p8. Without it, the gateway alone is looked at."`
	Gateway    string        `placeholder:"HOST:PORT" help:"The gateway. Without it, and with --env, Apple's."`
	CA         string        `name:"ca" placeholder:"FILE" help:"Authority to trust for the gateway's certificate, PEM. Without it, the system's."`
	ServerName string        `placeholder:"NAME" help:"Name that the gateway's certificate has to carry. Without it, the host of --gateway."`
	Identity   int           `placeholder:"N" help:"Which one, if the file holds several."`
	Timeout    time.Duration `default:"10s" help:"How long each step may take."`
	wantedFlags
	keyIDs
	passwordFlags
	quietFlags
}

// Help says more than the line in the list of verbs.
func (doctorCmd) Help() string {
	return `Checks the credential as herald cert verify does, then the name, the connection
and the certificate of the gateway, then sends one request to a device token
that is none. It can be delivered to nobody; what the gateway refuses it with
says how far the credential came: BadDeviceToken means all the way.

Apple is asked only if --env is given, and --gateway is not or names Apple.

Exit status: 0 good, 1 something is wrong, 2 usage, 3 a file cannot be read,
4 the gateway refuses the credential.`
}

// maxTimeout bounds --timeout.
const maxTimeout = 5 * time.Minute

// step is one thing that was looked at.
type step struct {
	Name   string   `json:"name"`
	Result string   `json:"result"` // "ok", "failed" or "skipped"
	Detail string   `json:"detail"`
	Facts  []string `json:"facts,omitempty"`
	Error  string   `json:"error,omitempty"`
	Hint   string   `json:"hint,omitempty"`
}

// diagnosis is what the verb prints as JSON.
type diagnosis struct {
	Good     bool                 `json:"good"`
	Gateway  string               `json:"gateway"`
	Steps    []step               `json:"steps"`
	Problems []credential.Problem `json:"problems"`
}

// sentWith is what a request is sent with: an identity or a provider key.
type sentWith struct {
	identity *credential.Identity
	tokens   *apnsclient.ProviderTokens
	topic    apns.Topic
}

// examination is one run of the verb.
type examination struct {
	doctorCmd
	s          streams
	host, port string // of the gateway
	roots      *x509.CertPool
	found      diagnosis
}

// Run implements the verb.
func (c doctorCmd) Run(ctx context.Context, s streams) error {
	if c.Timeout <= 0 || c.Timeout > maxTimeout {
		return usageError("--timeout %v: want more than 0 and at most %v", c.Timeout, maxTimeout)
	}
	e := &examination{doctorCmd: c, s: s, found: diagnosis{Problems: []credential.Problem{}}}
	if err := e.address(); err != nil {
		return err
	}
	var err error
	if e.roots, err = readRoots(c.CA); err != nil {
		return err
	}
	err = e.examine(ctx)
	if statusOf(err) == exitUsage {
		return err
	}
	e.found.Good = err == nil
	if c.JSON {
		if printing := c.print(s, e.found, nil); printing != nil {
			return printing
		}
	}
	return err
}

// address finds the gateway. Apple's is only taken by those who say so.
func (e *examination) address() error {
	host, port := e.Gateway, "443"
	if h, p, err := net.SplitHostPort(e.Gateway); err == nil {
		host, port = h, p
	}
	switch apple := strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".push.apple.com"); {
	case host == "" && e.Env == 0:
		return withHint(usageError("which gateway?"),
			"--gateway HOST:PORT names one; --env sandbox or --env production alone takes Apple's, and sends it one request that delivers nothing.")
	case apple && e.Env == 0:
		return usageError("%s is Apple's: --env sandbox or --env production confirms that it may be asked", plain(host))
	case host == "" && e.Env == apns.Production:
		host = "api.push.apple.com"
	case host == "":
		host = "api.sandbox.push.apple.com"
	}
	e.host, e.port = host, port
	e.found.Gateway = net.JoinHostPort(host, port)
	return nil
}

// examine looks at one thing after the other. What is wrong with the
// credential does not keep it from looking at the gateway.
func (e *examination) examine(ctx context.Context) error {
	with, wrongCredential := e.credential(ctx)
	if statusOf(wrongCredential) == exitUsage {
		return wrongCredential
	}
	if err := e.network(ctx); err != nil {
		if wrongCredential != nil { // both are worth knowing; the last is told by the caller
			e.also(wrongCredential)
		}
		return err
	}
	switch {
	case e.Credential == "":
		return e.note(step{Name: "request", Result: "skipped", Detail: "no credential to send with; --credential FILE gives one"})
	case wrongCredential != nil:
		if err := e.note(step{Name: "request", Result: "skipped", Detail: "the credential is not fit to send with"}); err != nil {
			return err
		}
		return wrongCredential
	}
	return e.request(ctx, with)
}

// also tells an error that is not the last.
func (e *examination) also(err error) { report(e.s, err) }

// note keeps what a step found, and prints it unless all is printed as JSON
// at the end.
func (e *examination) note(st step) error {
	e.found.Steps = append(e.found.Steps, st)
	if e.JSON || e.Quiet {
		return nil
	}
	if _, err := fmt.Fprintf(e.s.out, "%-11s %-8s %s\n", st.Name, st.Result, plain(st.Detail)); err != nil {
		return err
	}
	for _, f := range st.Facts {
		if _, err := io.WriteString(e.s.out, strings.Repeat(" ", 21)+plain(f)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// failed notes a step that failed, and returns why.
func (e *examination) failed(name, detail string, facts []string, err error) error {
	st := step{Name: name, Result: "failed", Detail: detail, Facts: facts, Error: err.Error()}
	if h, ok := errors.AsType[*hintError](err); ok {
		st.Hint = h.hint
	}
	if noting := e.note(st); noting != nil {
		return noting
	}
	return err
}

// credential judges the credential, and opens it. The error is a usage error
// if the flags do not say all that it needs.
func (e *examination) credential(ctx context.Context) (with sentWith, err error) {
	if e.Credential == "" {
		return with, nil
	}
	in, err := readInput(e.Credential)
	if err != nil {
		return with, e.failed("credential", "cannot be read", nil, err)
	}
	p := e.open(ctx)
	f := inspect(in, p)
	if f.isProviderKey() {
		if err := e.completeIDs(f); err != nil {
			return with, err
		}
	}
	o := e.options(e.wantedFlags)
	v := judge(f, o, e.Identity)
	p.explain(v.Problems)
	e.found.Problems = append(e.found.Problems, v.Problems...)
	if err := tell(e.s, v.Problems); err != nil {
		return with, e.failed("credential", fmt.Sprintf("%s: %s", f.report.Name, f.report.Kind), nil, err)
	}
	if f.isProviderKey() {
		return e.key(f)
	}
	return e.certificate(f, v)
}

// completeIDs sees to it that all is there that goes with a provider key.
func (e *examination) completeIDs(f *inspected) error {
	if e.KeyID == "" {
		e.KeyID = f.report.Objects[0].KeyID
	}
	for _, need := range []struct{ flag, value string }{
		{"key-id", string(e.KeyID)}, {"team", string(e.Team)}, {"topic", string(e.Topic)},
	} {
		if need.value == "" {
			return usageError("%s is a provider key: --%s is needed with it", f.report.Name, need.flag)
		}
	}
	return nil
}

func (e *examination) key(f *inspected) (with sentWith, err error) {
	signer, err := f.providerKey()
	if err != nil {
		return with, err
	}
	if with.tokens, err = newTokens(e.Team, e.KeyID, signer); err != nil {
		return with, err
	}
	with.topic = e.Topic
	return with, e.note(step{Name: "credential", Result: "ok", Detail: fmt.Sprintf("provider key %s of team %s", e.KeyID, e.Team)})
}

func (e *examination) certificate(f *inspected, v verdict) (with sentWith, err error) {
	id, _, err := credential.Assemble(f.File, credential.File{}, credential.AssembleOptions{
		Password: f.password, Number: e.Identity, Topic: e.Topic, Environment: e.Env,
	})
	if err != nil {
		return with, asProblem(err)
	}
	push, err := credential.ParsePushCertificate(id.Certificate)
	if err != nil {
		return with, err
	}
	with.identity, with.topic = &id, e.Topic
	if with.topic == "" {
		with.topic = push.Topics[0]
	}
	if e.Env == 0 && !push.Allows(apns.Sandbox) {
		e.Env = apns.Production
	}
	st := step{Name: "credential", Result: "ok", Detail: fmt.Sprintf("%q, %s", id.Certificate.Subject.CommonName, push.Kind)}
	if o := v.Certificate; o != nil && o.Validity != nil {
		st.Facts = []string{"topics " + topicsOf(o.Topics), "valid " + o.Validity.String()}
	}
	return with, e.note(st)
}

// environment is that of the gateway, as far as it is known.
func (e *examination) environment() apns.Environment {
	if e.Env == 0 {
		return apns.Sandbox // both or unknown: the gateway will say
	}
	return e.Env
}

// tlsConfig is for a look at the gateway's certificate, which is verified
// afterwards, so that one that is not trusted can be shown.
func (e *examination) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: e.serverName(), NextProtos: []string{"h2"}, InsecureSkipVerify: true} //nolint:gosec // see above
}

func (e *examination) serverName() string {
	if e.ServerName != "" {
		return e.ServerName
	}
	return e.host
}
