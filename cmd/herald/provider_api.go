package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/heraldpush/herald/platform/folder"
	"github.com/heraldpush/herald/platform/provide"
	"github.com/heraldpush/herald/provider/api"
)

// Limits of a call.
const (
	callTimeout = 2 * time.Minute // a credential is checked live
	dialTimeout = 5 * time.Second
	maxAnswer   = 16 << 20 // bytes
)

// maxShown is how many of a list are shown at most, where nobody says how many.
const maxShown = 10_000

// providerAPI calls the REST API of a provider.
type providerAPI struct {
	url  string
	key  string
	http *http.Client
}

// unreachableError says that nobody answers at a URL, or somebody else.
type unreachableError struct {
	url string
	err error
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("no provider answers at %s: %v", plain(e.url), e.err)
}
func (e *unreachableError) Unwrap() error { return e.err }

// refusedError is what the API refuses something with.
type refusedError struct{ api.Problem }

// Error says what is wrong, and where in the request if that is more than one thing.
func (e *refusedError) Error() string {
	var b strings.Builder
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	b.WriteString(plain(text))
	if len(e.Errors) > 1 {
		for _, f := range e.Errors {
			where := f.Parameter
			if f.Pointer != nil {
				where = *f.Pointer
			}
			fmt.Fprintf(&b, "\n  %s: %s", plain(where), plain(f.Detail))
		}
	}
	return b.String()
}

// api returns the API that the flags name.
func (a providerAt) api() (*providerAPI, error) {
	key := os.Getenv("HERALD_KEY")
	if a.KeyFile != "" {
		var err error
		if key, err = provide.ReadKey(a.KeyFile); err != nil {
			return nil, unreadable(err)
		}
	}
	if a.URL != "" {
		return a.remote(a.URL, key, false)
	}
	run, err := folder.FindRun(a.Dir, folder.MadeByProvider)
	if err != nil {
		return nil, err
	}
	if key == "" {
		if key, err = provide.ReadKey(filepath.Join(a.Dir, provide.AdminKeyFile)); err != nil {
			return nil, withHint(unreadable(err), "the next start of herald provider serve makes another.")
		}
	}
	return a.remote(run.URL, key, true)
}

// remote returns the API at a URL.
func (a providerAt) remote(base, key string, thisMachine bool) (*providerAPI, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, withHint(usageError("--url %s: this is no URL of a provider", plain(base)), "such as https://push.example.com.")
	case u.Scheme == "http" && !thisMachine && !isLocalHost(u.Hostname()):
		return nil, withHint(usageError("--url: %s is another machine's, and the API key would go there readable", plain(u.Host)), "use https.")
	case key == "":
		return nil, withHint(usageError("--url needs an API key"), "--key-file FILE or HERALD_KEY gives it; herald provider key add makes one, where the provider runs.")
	}
	roots, err := readRoots(a.CA)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: dialTimeout,
	}
	return &providerAPI{
		url: strings.TrimSuffix(u.String(), "/"), key: key,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// isLocalHost reports whether a host is this machine.
func isLocalHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// endpoint returns a path of the API.
func endpoint(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

// call asks the API for something: in is what it is told, nil for nothing; out is
// what the answer is read into, nil for nothing. The error may be a *refusedError.
func (p *providerAPI) call(ctx context.Context, method, path string, in, out any) error {
	return p.callWith(ctx, method, path, nil, in, out)
}

// callWith is call with headers.
func (p *providerAPI) callWith(ctx context.Context, method, path string, header http.Header, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	maps.Copy(req.Header, header)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	res, err := p.http.Do(req)
	if err != nil {
		return p.unreachable(ctx, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return p.unreachable(ctx, err)
	case len(b) > maxAnswer:
		return fmt.Errorf("the answer of %s has more than %d bytes", plain(p.url), maxAnswer)
	}
	return p.read(res, b, out)
}

func (p *providerAPI) unreachable(ctx context.Context, err error) error {
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		err = wrong.Err // the rest is said
	}
	if context.Cause(ctx) != nil && !errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return &unreachableError{p.url, err}
}

// read reads an answer.
func (p *providerAPI) read(res *http.Response, body []byte, out any) error {
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil && len(body) > 0 {
		media = ""
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		problem := &refusedError{}
		if media != "application/problem+json" || json.Unmarshal(body, &problem.Problem) != nil {
			return &unreachableError{p.url, fmt.Errorf("the answer is %s, and of no provider", res.Status)}
		}
		return problem
	}
	if out == nil || len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &unreachableError{p.url, fmt.Errorf("the answer cannot be read: %w", err)}
	}
	return nil
}

// page is a page of a list.
type page[T any] struct {
	Data []T    `json:"data"`
	Next string `json:"next"`
}

// pageSize is how many the API is asked for at a time.
const pageSize = 1000

// listAll returns a list from the beginning, up to most of it; never nil, which JSON
// has another word for.
func listAll[T any](ctx context.Context, at *providerAPI, from string, most int) ([]T, error) {
	all := []T{}
	separator := "?"
	if strings.Contains(from, "?") {
		separator = "&"
	}
	for next := fmt.Sprintf("%s%slimit=%d", from, separator, min(most, pageSize)); next != "" && len(all) < most; {
		var p page[T]
		if err := at.call(ctx, http.MethodGet, next, nil, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Data...)
		if next = p.Next; next != "" && !strings.HasPrefix(next, "/") {
			return nil, &unreachableError{at.url, fmt.Errorf("the next page is at %q, which is no path", next)}
		}
	}
	return all[:min(len(all), most)], nil
}
