package credential

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"errors"
	"hash"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/scrypt"
)

// Bounds of deriving keys from passwords. They are for files from strangers:
// OpenSSL writes 2048 rounds, browsers a million.
const (
	// maxRounds bounds the rounds of all derivations for one file together,
	// which then take some seconds.
	maxRounds = 10_000_000
	// maxScryptBytes bounds the memory of scrypt. OpenSSL uses 16 MiB.
	maxScryptBytes = 64 << 20
	// maxSaltBytes and maxPasswordBytes bound what goes into a derivation.
	maxSaltBytes     = 1024
	maxPasswordBytes = 1024
)

// workLimit bounds the rounds of key derivation for one file.
type workLimit struct {
	max, spent int
}

func newWorkLimit() *workLimit { return &workLimit{max: maxRounds} }

// spend takes account of rounds that are about to be run times over.
func (w *workLimit) spend(rounds, times int) error {
	if rounds < 1 || times < 1 {
		return errDamaged
	}
	if rounds > w.max || times > w.max || w.spent+rounds*times > w.max {
		got := rounds
		if rounds <= w.max && times <= w.max {
			got = w.spent + rounds*times
		}
		return &LimitError{What: "rounds of key derivation", Got: got, Max: w.max}
	}
	w.spent += rounds * times
	return nil
}

// checkSalt refuses what no writer makes.
func checkSalt(salt []byte) error {
	if len(salt) > maxSaltBytes {
		return &LimitError{What: "bytes of salt", Got: len(salt), Max: maxSaltBytes}
	}
	return nil
}

// passphrase is a password in the two forms in which algorithms take it.
type passphrase struct {
	// text is UTF-8, for PKCS#5 (RFC 8018 section 2) and PBMAC1 (RFC 9579).
	text []byte
	// bmp is UTF-16BE with two zero bytes after it, for the algorithms of
	// PKCS#12 (RFC 7292 appendix B.1).
	bmp []byte
}

// passphrases returns the forms in which a password may have been used, the
// proper one first. Writers disagree on the empty one, which is two zero bytes
// or none, and OpenSSL before 1.1.0 took each byte of the UTF-8 for a character.
func passphrases(password string) ([]passphrase, error) {
	if len(password) > maxPasswordBytes {
		return nil, &LimitError{What: "bytes of password", Got: len(password), Max: maxPasswordBytes}
	}
	text := []byte(password)
	if password == "" {
		return []passphrase{{text, []byte{0, 0}}, {text, nil}}, nil
	}
	var forms []passphrase
	if utf8.ValidString(password) {
		forms = append(forms, passphrase{text, append(utf16BE(password), 0, 0)})
	}
	for _, b := range text {
		if b >= utf8.RuneSelf {
			wide := make([]byte, 0, 2*len(text)+2)
			for _, b := range text {
				wide = append(wide, 0, b)
			}
			return append(forms, passphrase{text, append(wide, 0, 0)}), nil
		}
	}
	return forms, nil
}

// utf16BE returns text in UTF-16, the higher byte first.
func utf16BE(text string) []byte {
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(u>>8), byte(u))
	}
	return wide
}

// What pkcs12KDF derives: the ID of RFC 7292 appendix B.3.
const (
	pkcs12ForKey = 1
	pkcs12ForIV  = 2
	pkcs12ForMAC = 3
)

// pkcs12KDF derives size bytes from a password (RFC 7292 appendix B.2).
func pkcs12KDF(w *workLimit, newHash func() hash.Hash, password, salt []byte, rounds int, id byte, size int) ([]byte, error) {
	h := newHash()
	u, v := h.Size(), h.BlockSize()
	if err := w.spend(rounds, (size+u-1)/u); err != nil {
		return nil, err
	}
	if err := checkSalt(salt); err != nil {
		return nil, err
	}
	d := make([]byte, v)
	for i := range d {
		d[i] = id
	}
	in := append(repeatTo(salt, v), repeatTo(password, v)...)
	var out []byte
	for {
		h.Reset()
		h.Write(d)
		h.Write(in)
		a := h.Sum(nil)
		for range rounds - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		if out = append(out, a...); len(out) >= size {
			return out[:size], nil
		}
		b := make([]byte, v)
		for i := range b {
			b[i] = a[i%u]
		}
		for block := in; len(block) > 0; block = block[v:] { // each is a number: block + b + 1
			carry := 1
			for i := v - 1; i >= 0; i-- {
				carry += int(block[i]) + int(b[i])
				block[i] = byte(carry)
				carry >>= 8
			}
		}
	}
}

// repeatTo repeats s up to the next multiple of v.
func repeatTo(s []byte, v int) []byte {
	out := make([]byte, (len(s)+v-1)/v*v)
	for i := range out {
		out[i] = s[i%len(s)]
	}
	return out
}

// pbkdf1 derives size bytes, at most those of one hash (RFC 8018 section 5.1).
func pbkdf1(w *workLimit, newHash func() hash.Hash, password, salt []byte, rounds, size int) ([]byte, error) {
	if err := w.spend(rounds, 1); err != nil {
		return nil, err
	}
	h := newHash()
	h.Write(password)
	h.Write(salt)
	t := h.Sum(nil)
	for range rounds - 1 {
		h.Reset()
		h.Write(t)
		t = h.Sum(t[:0])
	}
	return t[:size], nil
}

// pbkdf2Key derives size bytes (RFC 8018 section 5.2).
func pbkdf2Key(w *workLimit, newHash func() hash.Hash, password, salt []byte, rounds, size int) ([]byte, error) {
	u := newHash().Size()
	if err := w.spend(rounds, (size+u-1)/u); err != nil {
		return nil, err
	}
	if err := checkSalt(salt); err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(newHash, string(password), salt, rounds, size)
	if err != nil {
		return nil, errors.New("this build's cryptography does not derive keys of that kind")
	}
	return key, nil
}

// scryptKey derives size bytes (RFC 7914). Mixing one block counts as a round:
// the two take about as long.
func scryptKey(w *workLimit, password, salt []byte, n, r, p, size int) ([]byte, error) {
	if n < 2 || n&(n-1) != 0 || r < 1 || p < 1 {
		return nil, errDamaged
	}
	const most = maxScryptBytes / 128
	if n > most || r > most || n*r > most {
		return nil, &LimitError{What: "KiB of memory for scrypt", Got: kibibytes(n, r), Max: maxScryptBytes >> 10}
	}
	if err := w.spend(n*r, p); err != nil {
		return nil, err
	}
	if err := checkSalt(salt); err != nil {
		return nil, err
	}
	key, err := scrypt.Key(password, salt, n, r, p, size)
	if err != nil {
		return nil, errDamaged
	}
	return key, nil
}

// kibibytes returns the memory that scrypt takes, or the largest number if
// that does not fit.
func kibibytes(n, r int) int {
	const most = int(^uint(0) >> 1)
	if n/8 > most/r {
		return most
	}
	return n / 8 * r
}

// opensslKDF derives size bytes in the way of traditional PEM: MD5, one round
// (EVP_BytesToKey).
func opensslKDF(password, salt []byte, size int) []byte {
	var out, last []byte
	for len(out) < size {
		h := md5.New()
		h.Write(last)
		h.Write(password)
		h.Write(salt)
		last = h.Sum(nil)
		out = append(out, last...)
	}
	return out[:size]
}

// hmacSum returns the HMAC of message.
func hmacSum(newHash func() hash.Hash, key, message []byte) []byte {
	m := hmac.New(newHash, key)
	m.Write(message)
	return m.Sum(nil)
}
