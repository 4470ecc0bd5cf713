package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// MaxProviderTokenBytes bounds a provider token. Real ones have 170 to 300.
const MaxProviderTokenBytes = 4 << 10

// Sizes of an ES256 signature (RFC 7518 section 3.4).
const (
	coordinateBytes = 32
	signatureBytes  = 2 * coordinateBytes
)

// maxIssuedAt is the last second of the year 9999. A later one was written in
// milliseconds.
const maxIssuedAt = 253402300799

// MintProviderToken makes a provider token: a JWT signed with key, which is an
// ECDSA key on P-256, in the form of RFC 7518 and no other dialect
// (docs/protocol/certificates.md#provider-tokens). The service accepts it for
// an hour from issuedAt, and wants a new one no more often than every 20
// minutes. The result is a secret while it is valid.
func MintProviderToken(key crypto.Signer, id apns.KeyID, team apns.TeamID, issuedAt time.Time) (string, error) {
	token, err := mintProviderToken(key, id, team, issuedAt)
	if err != nil {
		return "", fmt.Errorf("provider token: %w", err)
	}
	return token, nil
}

func mintProviderToken(key crypto.Signer, id apns.KeyID, team apns.TeamID, issuedAt time.Time) (string, error) {
	if key == nil {
		return "", errors.New("no key")
	}
	if err := checkKeyID(id); err != nil {
		return "", err
	}
	if err := checkTeamID(team); err != nil {
		return "", err
	}
	if s := issuedAt.Unix(); s < 0 || s > maxIssuedAt {
		return "", errors.New("issued at a time outside the years 1970 to 9999")
	}
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok {
		return "", errors.New("the key is not an ECDSA key; provider tokens are signed with the key of a .p8 file")
	}
	if err := checkProviderCurve(pub); err != nil {
		return "", err
	}
	// Neither ID can hold a character that JSON escapes.
	b := base64.RawURLEncoding
	signed := b.EncodeToString(fmt.Appendf(nil, `{"alg":"ES256","kid":"%s"}`, id)) + "." +
		b.EncodeToString(fmt.Appendf(nil, `{"iss":"%s","iat":%d}`, team, issuedAt.Unix()))
	digest := sha256.Sum256([]byte(signed))
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	var sig struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 {
		return "", errors.New("signing: the key's signature is not ASN.1")
	}
	if sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.BitLen() > 8*coordinateBytes || sig.S.BitLen() > 8*coordinateBytes {
		return "", errors.New("signing: the key's signature is out of range")
	}
	var raw [signatureBytes]byte
	sig.R.FillBytes(raw[:coordinateBytes])
	sig.S.FillBytes(raw[coordinateBytes:])
	return signed + "." + b.EncodeToString(raw[:]), nil
}

// ProviderToken is what a provider token says. Nothing of it is to be believed
// before Verify. It does not hold the text of the token, and logs no more than
// its three fields.
type ProviderToken struct {
	// KeyID names the key that is said to have signed it.
	KeyID apns.KeyID
	// TeamID is the team that is said to send.
	TeamID apns.TeamID
	// IssuedAt is when it is said to have been made, to the second, UTC.
	IssuedAt time.Time

	digest    [sha256.Size]byte // of the two segments as they were sent
	signature []byte            // R‖S or ASN.1, as it was sent
}

// ParseProviderToken reads a provider token, without the word bearer, in each
// of the dialects that real senders write
// (docs/protocol/certificates.md#dialects). Whatever the error says, the
// answer to the sender is InvalidProviderToken.
func ParseProviderToken(s string) (ProviderToken, error) {
	t, err := parseProviderToken(s)
	if err != nil {
		return ProviderToken{}, fmt.Errorf("provider token: %w", err)
	}
	return t, nil
}

func parseProviderToken(s string) (ProviderToken, error) {
	var t ProviderToken
	if len(s) > MaxProviderTokenBytes {
		return t, fmt.Errorf("%d bytes, at most %d are read", len(s), MaxProviderTokenBytes)
	}
	if n := strings.Count(s, ".") + 1; n != 3 {
		return t, fmt.Errorf("%d segments, want 3", n)
	}
	end := strings.LastIndexByte(s, '.')
	first, second, _ := strings.Cut(s[:end], ".")
	header, err := parseSegment(first)
	if err != nil {
		return t, fmt.Errorf("header: %w", err)
	}
	claims, err := parseSegment(second)
	if err != nil {
		return t, fmt.Errorf("claims: %w", err)
	}
	if t.signature, err = decodeSegment(s[end+1:]); err != nil {
		return t, fmt.Errorf("signature: %w", err)
	}
	if len(t.signature) == 0 {
		return t, errors.New("signature: none")
	}
	t.digest = sha256.Sum256([]byte(s[:end]))

	if alg, ok := header.text("alg"); !ok || alg != "ES256" {
		return t, errors.New("header: alg is not ES256")
	}
	if _, ok := header["crit"]; ok {
		return t, errors.New("header: crit asks for an extension that nobody here knows") // RFC 7515 section 4.1.11
	}
	kid, ok := header.text("kid")
	if !ok {
		kid, ok = claims.text("kid")
	}
	if !ok {
		return t, errors.New("header: no kid")
	}
	iss, ok := claims.text("iss")
	if !ok {
		return t, errors.New("claims: no iss")
	}
	t.KeyID, t.TeamID = apns.KeyID(kid), apns.TeamID(iss)
	if t.IssuedAt, err = claims.time("iat"); err != nil {
		return t, fmt.Errorf("claims: iat %w", err)
	}
	return t, nil
}

// Verify reports, by a nil error, that t was signed with the private half of
// pub, an ECDSA key on P-256. The signature covers the segments as they were
// sent, not what they decode to.
func (t ProviderToken) Verify(pub *ecdsa.PublicKey) error {
	if err := checkProviderCurve(pub); err != nil {
		return fmt.Errorf("provider token: the key to verify with: %w", err)
	}
	var good bool
	if len(t.signature) == signatureBytes {
		r := new(big.Int).SetBytes(t.signature[:coordinateBytes])
		s := new(big.Int).SetBytes(t.signature[coordinateBytes:])
		good = ecdsa.Verify(pub, t.digest[:], r, s)
	} else {
		good = ecdsa.VerifyASN1(pub, t.digest[:], t.signature)
	}
	if !good {
		return errors.New("provider token: the signature does not verify")
	}
	return nil
}

// String returns what t says, and nothing that it could be made again from.
func (t ProviderToken) String() string {
	return fmt.Sprintf("provider token of team %.20q by key %.20q at %s", string(t.TeamID), string(t.KeyID), t.IssuedAt.Format(time.RFC3339))
}

// GoString is String, for the verb %#v.
func (t ProviderToken) GoString() string { return t.String() }

// LogValue implements slog.LogValuer.
func (t ProviderToken) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("team", string(t.TeamID)),
		slog.String("key", string(t.KeyID)),
		slog.Time("issued", t.IssuedAt),
	)
}

// decodeSegment reads base64url without padding, standard base64 with
// padding, and what lies between. Other characters are refused, also those
// line ends that encoding/base64 would pass over.
func decodeSegment(s string) ([]byte, error) {
	body := strings.TrimRight(s, "=")
	if pad := len(s) - len(body); pad > 0 && (pad > 2 || len(s)%4 != 0) {
		return nil, errors.New("not base64: wrong padding")
	}
	buf := []byte(body)
	for i, c := range buf {
		switch {
		case c == '+':
			buf[i] = '-'
		case c == '/':
			buf[i] = '_'
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return nil, fmt.Errorf("not base64: wrong character at %d", i)
		}
	}
	n, err := base64.RawURLEncoding.Strict().Decode(buf, buf)
	if err != nil {
		return nil, errors.New("not base64: cut short, or with bits to spare")
	}
	return buf[:n], nil
}

// members is a JSON object. Its names are compared exactly, where the fields
// of a struct would also match in the other letter case.
type members map[string]json.RawMessage

func parseSegment(s string) (members, error) {
	b, err := decodeSegment(s)
	if err != nil {
		return nil, err
	}
	var m members
	if err := json.Unmarshal(b, &m); err != nil || m == nil {
		return nil, errors.New("not a JSON object")
	}
	return m, nil
}

// text returns a member that is a string, and not empty.
func (m members) text(name string) (string, bool) {
	var s *string
	if json.Unmarshal(m[name], &s) != nil || s == nil || *s == "" {
		return "", false
	}
	return *s, true
}

// time returns a member that is a time in seconds since the epoch: a number,
// of which the fraction is cut off, or decimal digits in a string.
func (m members) time(name string) (time.Time, error) {
	raw, ok := m[name]
	if !ok {
		return time.Time{}, errors.New("is missing")
	}
	var seconds int64
	if digits, ok := m.text(name); ok {
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			return time.Time{}, errors.New("is a string of something else than digits")
		}
		seconds = int64(n)
	} else {
		var f float64
		if err := json.Unmarshal(raw, &f); err != nil || string(raw) == "null" {
			return time.Time{}, errors.New("is not a number")
		}
		// Below 2^53 a float holds each second exactly.
		if math.Abs(f) > maxIssuedAt {
			return time.Time{}, errors.New("is out of range, perhaps in milliseconds")
		}
		seconds = int64(f)
	}
	if seconds < 0 || seconds > maxIssuedAt {
		return time.Time{}, errors.New("is out of range, perhaps in milliseconds")
	}
	return time.Unix(seconds, 0).UTC(), nil
}
