package conformance

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/heraldpush/herald/credential"
)

// unknownKey names a key that no gateway knows, which each run makes.
const unknownKey = "unknown key"

// mint makes provider tokens, each once: a gateway may count how often they
// change. It is safe for concurrent use.
type mint struct {
	target  *Target
	unknown Key

	mu   sync.Mutex
	made map[Token]string // guarded by mu
}

func newMint(t *Target) (*mint, error) {
	private, err := credential.NewProviderKey()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	unknown := Key{Team: credential.NewTeamID(), ID: credential.NewKeyID(), Private: private}
	return &mint{target: t, unknown: unknown, made: make(map[Token]string)}, nil
}

// key returns the key of a name. The error is a *lackError.
func (m *mint) key(name string) (Key, error) {
	if name == "" {
		name = TeamKey
	}
	if name == unknownKey {
		return m.unknown, nil
	}
	k, ok := m.target.Keys[name]
	if !ok {
		return Key{}, &lackError{name}
	}
	return k, nil
}

// token returns the provider token of a description, the nth time it is sent.
func (m *mint) token(t Token, n int) (string, error) {
	t.Age -= n * t.Fresh
	t.Fresh = 0
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.made[t]; ok && !t.Again {
		return s, nil
	}
	s, err := m.make(t)
	if err == nil {
		m.made[t] = s
	}
	return s, err
}

// The parts of a provider token as most senders write them
// (docs/protocol/certificates.md#provider-tokens).
const (
	plainHeader = `{"alg":"ES256","kid":"${kid}"}`
	plainClaims = `{"iss":"${iss}","iat":${iat}}`
)

func (m *mint) make(t Token) (string, error) {
	key, err := m.key(t.Key)
	if err != nil {
		return "", err
	}
	team, signer := key.Team, key.Private
	if t.Team != "" {
		other, err := m.key(t.Team)
		if err != nil {
			return "", err
		}
		team = other.Team
	}
	if t.Sign != "" {
		other, err := m.key(t.Sign)
		if err != nil {
			return "", err
		}
		signer = other.Private
	}
	header, claims := t.Header, t.Claims
	if header == "" {
		header = plainHeader
	}
	if claims == "" {
		claims = plainClaims
	}
	at := time.Now().Unix() - int64(t.Age)
	fill := strings.NewReplacer("${kid}", string(key.ID), "${iss}", string(team), "${iat}", strconv.FormatInt(at, 10), "${iat_ms}", strconv.FormatInt(at*1000, 10))
	encoding := base64.RawURLEncoding
	if t.Encoding == "standard" {
		encoding = base64.StdEncoding
	}
	signed := encoding.EncodeToString([]byte(fill.Replace(header))) + "." + encoding.EncodeToString([]byte(fill.Replace(claims)))
	signature, err := sign(signer, signed, t.Signature)
	if err != nil {
		return "", err
	}
	return signed + "." + encoding.EncodeToString(signature), nil
}

// sign signs with ES256, in a form.
func sign(key *ecdsa.PrivateKey, text, form string) ([]byte, error) {
	digest := sha256.Sum256([]byte(text))
	switch form {
	case "der":
		return ecdsa.SignASN1(rand.Reader, key, digest[:])
	case "", "raw":
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return nil, err
		}
		b := make([]byte, 64)
		r.FillBytes(b[:32])
		s.FillBytes(b[32:])
		return b, nil
	case "zero":
		return make([]byte, 64), nil
	case "short":
		return make([]byte, 63), nil
	case "none":
		return nil, nil
	}
	return nil, fmt.Errorf("signature %q", form)
}
