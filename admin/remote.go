package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// RemoteConfig says where an API is.
type RemoteConfig struct {
	// URL is the platform's, such as "http://127.0.0.1:8030". Required. Over
	// plain http it must be of this machine, as the API key goes along.
	URL string
	// Key is the API key. Required.
	Key string
	// ThisMachine says that URL is of this machine, whatever its address.
	ThisMachine bool
	// Roots are trusted for https. Nil means the system's.
	Roots *x509.CertPool
}

// maxAnswer bounds an answer, in bytes; a page of the longest list is below.
const maxAnswer = 32 << 20

// dialTimeout is how long a connection may take to come about.
const dialTimeout = 5 * time.Second

// UnreachableError says that nothing answers at a URL.
type UnreachableError struct {
	URL string
	Err error
}

// Error names the URL and the cause.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no platform answers at %s: %v", e.URL, e.Err)
}

// Unwrap returns Err.
func (e *UnreachableError) Unwrap() error { return e.Err }

// VersionError says that what answers at a URL is no platform, or one whose
// API this version does not speak.
type VersionError struct {
	URL string
	// Version is of the API there; empty if it is none.
	Version string
}

// Error says which of both.
func (e *VersionError) Error() string {
	if e.Version == "" {
		return fmt.Sprintf("what answers at %s is not a herald platform", e.URL)
	}
	return fmt.Sprintf("the platform at %s speaks version %.10q of the API, this is version %s", e.URL, e.Version, apiVersion)
}

// Remote returns the API elsewhere as a Target. Its errors that are no
// *Problem are an *UnreachableError, a *VersionError, or the context's. The
// error of Remote itself says what is wrong with cfg.
func Remote(cfg RemoteConfig) (Target, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q is not a URL, such as http://127.0.0.1:8030", cfg.URL)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the URL may have a scheme, a host, a port and a path, and nothing else")
	case u.Scheme == "http" && !cfg.ThisMachine && !isLocal(u.Hostname()):
		return nil, fmt.Errorf("http://%s is another machine's: the API key would go there readable; use https", u.Host)
	case cfg.Key == "" || strings.ContainsAny(cfg.Key, " \t\r\n"):
		return nil, errors.New("the API key is empty, or has spaces in it")
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig: &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: dialTimeout,
		DisableKeepAlives: true, // nothing stays behind
	}
	return &remote{
		url: strings.TrimSuffix(u.String(), "/"), key: cfg.Key,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// isLocal reports whether a host is this machine.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

type remote struct {
	url  string
	key  string
	http *http.Client
}

func (c *remote) call(ctx context.Context, o operation, in members, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := c.send(ctx, o.row(), in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return c.unreachable(ctx, err)
	case len(b) > maxAnswer:
		return fmt.Errorf("the answer of %s has more than %d bytes", c.url, maxAnswer)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w", c.url, err)
	}
	return nil
}

func (c *remote) backup(ctx context.Context, in BackupRequest, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, backupTimeout)
	defer cancel()
	m, err := membersOf(in)
	if err != nil {
		return err
	}
	res, err := c.send(ctx, backupRow, m)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if t, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || t != backupType {
		return fmt.Errorf("the answer of %s is not a backup", c.url)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("receiving backup: %w", err)
	}
	return nil
}

// send sends a request and returns an answer of status 200, whose body is the
// caller's to close.
func (c *remote) send(ctx context.Context, row Row, in members) (*http.Response, error) {
	req, err := c.request(ctx, row, in)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if err := c.check(res); err != nil {
		_ = res.Body.Close() // of no use
		return nil, err
	}
	return res, nil
}

// request puts the members where they go: see the package's comment.
func (c *remote) request(ctx context.Context, row Row, in members) (*http.Request, error) {
	rest := maps.Clone(in)
	path := row.Path
	for _, name := range row.pathNames() {
		v, ok := in.text(name)
		if !ok {
			return nil, fmt.Errorf("request to %s: %s is not a string", row.Path, name)
		}
		path = strings.Replace(path, "{"+name+"}", escape(v), 1)
		delete(rest, name)
	}
	var body io.Reader
	if row.Method == http.MethodGet {
		query := make(url.Values)
		for name := range rest {
			v, ok := rest.text(name)
			if !ok {
				return nil, fmt.Errorf("request to %s: %s is not a string", row.Path, name)
			}
			query.Set(name, v)
		}
		if len(query) > 0 {
			path += "?" + query.Encode()
		}
	} else {
		b, err := json.Marshal(rest)
		if err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, row.Method, c.url+path, body)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// escape escapes a segment of a path. Dots alone would be taken for a step in
// the path.
func escape(segment string) string {
	if segment == "." || segment == ".." {
		return strings.ReplaceAll(segment, ".", "%2E")
	}
	return url.PathEscape(segment)
}

// check returns the error that an answer is, if it is one.
func (c *remote) check(res *http.Response) error {
	if v := res.Header.Get(apiHeader); v != apiVersion {
		return &VersionError{URL: c.url, Version: v}
	}
	if res.StatusCode == http.StatusOK {
		return nil
	}
	p := new(Problem)
	b, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil || json.Unmarshal(b, p) != nil || p.Status != res.StatusCode {
		return fmt.Errorf("%s answers with status %d", c.url, res.StatusCode)
	}
	return p
}

func (c *remote) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return cause
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // it would name the URL again
	}
	return &UnreachableError{URL: c.url, Err: err}
}
