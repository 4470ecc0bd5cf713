package provide

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often it is looked whether a certificate was replaced.
const lookEvery = 10 * time.Second

// pair is a certificate with its private key, in two files that others replace.
type pair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate // guarded by mu
	stamp  [2]time.Time     // of the files that were read; guarded by mu
	looked time.Time        // guarded by mu
}

// loadPair reads a certificate and its key.
func loadPair(certFile, keyFile string, log *slog.Logger) (*pair, error) {
	p := &pair{certFile: certFile, keyFile: keyFile, log: log, looked: time.Now()}
	stamp, err := p.stamps()
	if err != nil {
		return nil, fmt.Errorf("certificate of the API: %w", err)
	}
	p.stamp = stamp
	if p.now, err = p.read(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *pair) read() (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate of the API, %s and %s: %w", p.certFile, p.keyFile, err)
	}
	return &c, nil
}

// stamps returns when the files were changed.
func (p *pair) stamps() (at [2]time.Time, err error) {
	cert, err := os.Stat(p.certFile)
	if err != nil {
		return at, err
	}
	key, err := os.Stat(p.keyFile)
	if err != nil {
		return at, err
	}
	return [2]time.Time{cert.ModTime(), key.ModTime()}, nil
}

// get returns the certificate, which is read again if it was replaced. Where it
// cannot be, the one from before stays.
func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.looked) >= lookEvery {
		p.looked = now
		p.refresh()
	}
	return p.now, nil
}

// refresh reads the files if they have changed. The caller holds mu.
func (p *pair) refresh() {
	stamp, err := p.stamps()
	if err == nil && stamp == p.stamp {
		return
	}
	read, unread := p.read()
	if err := cmp.Or(err, unread); err != nil {
		p.log.Error("certificate of the API was not read again, and the one from before stays", slog.Any("error", err))
		return
	}
	p.now, p.stamp = read, stamp
	p.log.Info("certificate of the API was replaced")
}
