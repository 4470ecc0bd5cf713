package apnsclient

import (
	"crypto/sha256"
	"crypto/tls"
	"sync"
	"time"

	"github.com/heraldpush/herald/apns"
)

// The defaults of a PoolConfig.
const (
	defaultPoolSize = 100
	defaultPoolIdle = time.Hour
)

// PoolConfig says what a Pool keeps.
type PoolConfig struct {
	// Sender is what the senders have in common. Its Environment and its
	// credential are not looked at.
	Sender Config

	// Size is how many senders are kept. More may be in use at a time; then
	// those are closed that are given back. Zero stands for 100.
	Size int

	// IdleTimeout is how long a sender that nobody uses is kept. Zero stands
	// for an hour.
	IdleTimeout time.Duration
}

// Credential is with what, and to which push service, a sender of a Pool sends. The
// fields are as in Config: the environment and one of the others are required.
type Credential struct {
	Environment     apns.Environment
	Certificate     *tls.Certificate
	CertificateFile *CertificateFile
	ProviderTokens  *ProviderTokens
}

// Pool keeps the senders of many credentials in one process, such as those of the
// customers of a push service. Each has connections of its own, since a connection
// is of one team (docs/protocol/provider.md#provider-tokens). It is safe for
// concurrent use; close it after use.
type Pool struct {
	cfg  Config
	size int
	idle time.Duration

	mu      sync.Mutex
	closed  bool                  // guarded by mu
	senders map[any]*pooledSender // by credentialKey; guarded by mu
	timer   *time.Timer           // of sweep; nil where nothing is idle; guarded by mu
	closing sync.WaitGroup        // senders that are being closed; added to under mu, so never after closed
}

// pooledSender is a sender of a Pool. Its fields are guarded by the pool's mu.
type pooledSender struct {
	key    any
	sender *Sender
	users  int
	usedAt time.Time // when the last user left
}

// NewPool returns a Pool without senders.
func NewPool(cfg PoolConfig) *Pool {
	return &Pool{
		cfg: cfg.Sender, size: orDefault(max(cfg.Size, 0), defaultPoolSize), idle: orDefault(max(cfg.IdleTimeout, 0), defaultPoolIdle),
		senders: make(map[any]*pooledSender),
	}
}

// Get returns the sender of a credential, and has one made where there is none;
// two credentials are the same where environment and certificate or key are. Call
// release after use: a sender in use is never closed, and the Pool closes it, not
// you. The error is as New's, or ErrClosed.
func (p *Pool) Get(c Credential) (s *Sender, release func(), err error) {
	key := credentialKey(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	one := p.senders[key]
	if one == nil {
		cfg := p.cfg
		cfg.Environment, cfg.Certificate, cfg.CertificateFile, cfg.ProviderTokens = c.Environment, c.Certificate, c.CertificateFile, c.ProviderTokens
		s, err := New(cfg)
		if err != nil {
			return nil, nil, err
		}
		one = &pooledSender{key: key, sender: s}
		p.senders[key] = one
		p.shrink()
	}
	one.users++
	return one.sender, sync.OnceFunc(func() { p.release(one) }), nil
}

// Len returns how many senders there are.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.senders)
}

func (p *Pool) release(one *pooledSender) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one.users--; one.users > 0 || p.closed {
		return
	}
	one.usedAt = time.Now()
	p.shrink()
	if p.timer == nil && len(p.senders) > 0 {
		p.timer = time.AfterFunc(p.idle, p.sweep)
	}
}

// shrink closes senders that nobody uses, those first whose last use is longest
// ago, until there are no more than are to be kept. mu is held.
func (p *Pool) shrink() {
	for len(p.senders) > p.size {
		oldest := p.oldest()
		if oldest == nil {
			return
		}
		p.drop(oldest)
	}
}

// oldest returns the sender that nobody uses and whose last use is longest ago,
// nil where all are in use or new. mu is held.
func (p *Pool) oldest() *pooledSender {
	var oldest *pooledSender
	for _, one := range p.senders {
		if one.users == 0 && !one.usedAt.IsZero() && (oldest == nil || one.usedAt.Before(oldest.usedAt)) {
			oldest = one
		}
	}
	return oldest
}

// drop closes a sender, in a goroutine of its own, since what is under way is
// waited for. mu is held.
func (p *Pool) drop(one *pooledSender) {
	delete(p.senders, one.key)
	p.closing.Go(func() { one.sender.Close() }) // it returns nil
}

// sweep closes the senders that nobody has used for long.
func (p *Pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	if p.closed {
		return
	}
	now := time.Now()
	for {
		oldest := p.oldest()
		if oldest == nil {
			return
		}
		if left := oldest.usedAt.Add(p.idle).Sub(now); left > 0 {
			p.timer = time.AfterFunc(left, p.sweep)
			return
		}
		p.drop(oldest)
	}
}

// Close closes all senders, as Sender.Close does. It returns nil.
func (p *Pool) Close() error {
	p.mu.Lock()
	if !p.closed {
		for _, one := range p.senders {
			p.drop(one)
		}
		p.closed = true
		if p.timer != nil {
			p.timer.Stop()
		}
	}
	p.mu.Unlock()
	p.closing.Wait()
	return nil
}

// credentialKey returns what two credentials have in common that are the same. A
// file is the same while it is the same value, whatever it holds.
func credentialKey(c Credential) any {
	type key struct {
		environment apns.Environment
		of          any
	}
	type tokens struct {
		team   apns.TeamID
		id     apns.KeyID
		public [sha256.Size]byte
	}
	k := key{environment: c.Environment}
	switch p := c.ProviderTokens; {
	case p != nil && p.file != nil:
		k.of = p
	case p != nil:
		k.of = tokens{p.team, p.KeyID(), p.fingerprint()}
	case c.CertificateFile != nil:
		k.of = c.CertificateFile
	case c.Certificate != nil && len(c.Certificate.Certificate) > 0:
		k.of = sha256.Sum256(c.Certificate.Certificate[0])
	}
	return k
}
