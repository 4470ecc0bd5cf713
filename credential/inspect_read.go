package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// item is one thing that was found in a file.
type item struct {
	shape      derShape
	cert       *x509.Certificate
	key        crypto.Signer // nil if it is locked or of another kind
	request    *x509.CertificateRequest
	public     crypto.PublicKey
	list       *x509.RevocationList
	profile    *ProvisioningProfile
	encryption string // of a private key; empty if it is not encrypted
	friendly   string // the name that Keychain gave it
}

// publicKey returns the public key of i, nil if it has or shows none.
func (i item) publicKey() crypto.PublicKey {
	switch {
	case i.cert != nil:
		return i.cert.PublicKey
	case i.key != nil:
		return i.key.Public()
	case i.request != nil:
		return i.request.PublicKey
	}
	return i.public
}

// isKey reports whether i is a private key, open or locked.
func (i item) isKey() bool {
	switch i.shape {
	case shapePKCS8, shapeEncryptedPKCS8, shapeECKey, shapeRSAKey:
		return true
	default:
		return false
	}
}

// contents is what was found in a file.
type contents struct {
	name       string // for messages
	format     string // "PEM", "DER", "PKCS#12", "CMS", "XML" or empty
	items      []item
	repairs    []Repair
	problems   []Problem
	encryption []string // of a PKCS#12 file, each algorithm once
	password   PasswordFunc
	// What all that is locked in the file may cost together: with the empty
	// password, and with those that were asked for.
	tried, opened *workLimit
}

func (c *contents) report(p Problem) { c.problems = append(c.problems, p) }

// maxItems bounds what is read from one file.
const maxItems = 64

// add appends i, within bounds.
func (c *contents) add(i item) {
	if len(c.items) == maxItems {
		c.reportFull()
		return
	}
	c.items = append(c.items, i)
}

// reportFull says, once, that there is more than is read.
func (c *contents) reportFull() {
	p := problemf(WarnIgnored, "%s holds more than %d objects; the rest was passed over.", c.name, maxItems)
	if !slices.Contains(c.problems, p) {
		c.report(p)
	}
}

// readFile finds what data holds.
func readFile(name string, data []byte, password PasswordFunc) *contents {
	c := newContents(name, password)
	c.read(data)
	return c
}

func newContents(name string, password PasswordFunc) *contents {
	c := &contents{
		name:     printable(path.Base(strings.ReplaceAll(name, `\`, "/"))),
		password: password, tried: newWorkLimit(), opened: newWorkLimit(),
	}
	if name == "" || name == "-" {
		c.name = "the input"
	}
	return c
}

func (c *contents) read(data []byte) {
	switch {
	case len(data) == 0:
		c.report(problemf(CodeUnknown, "%s is empty.", c.name).withHint("Make or download it again: some commands leave an empty file behind when they fail."))
		return
	case len(data) > maxFileBytes:
		c.report(problemf(CodeTooLarge, "%s has %d bytes; at most %d are read.", c.name, len(data), maxFileBytes))
		return
	}
	clean, done := CleanText(data)
	c.repaired(done)
	switch {
	case isDER(clean):
		c.der(clean)
	case isXML(clean):
		c.format = "XML"
		c.profile(clean)
	case len(findMarks(string(clean))) > 0:
		c.format = "PEM"
		c.pem(clean)
	default:
		c.unknown(clean)
	}
}

// repaired turns repairs into at most two warnings.
func (c *contents) repaired(done []Repair) {
	c.repairs = done
	for _, code := range []Code{WarnText, WarnRepaired} {
		var found []string
		for _, r := range done {
			if r.ofEncoding() == (code == WarnText) {
				found = append(found, r.Sentence())
			}
		}
		if found == nil {
			continue
		}
		c.report(problemf(code, "%s was read, but %s.", c.name, strings.Join(found, "; ")))
	}
}

// der reads a file that is one DER value.
func (c *contents) der(data []byte) {
	c.format = "DER"
	shape := shapeOf(data)
	if n, ok := valueLength(data); ok {
		switch {
		case n > len(data):
			c.report(problemf(CodeDamaged, "%s is cut off: it has %d of %d bytes.", c.name, len(data), n))
			return
		case n < len(data):
			c.report(problemf(WarnIgnored, "%d bytes follow the end of what %s holds.", len(data)-n, c.name))
			data = data[:n]
			shape = shapeOf(data)
		}
	}
	switch shape {
	case shapePKCS12:
		c.format = "PKCS#12"
		c.pkcs12(data)
	case shapeSignedData:
		c.format = "CMS"
		c.profile(data)
	case shapeUnknown:
		c.report(c.unreadable("is binary (DER), but none of the things that push has to do with"))
	default:
		c.value(shape, bytes.Clone(data)) // a key is cleared afterwards, and data is the caller's
	}
}

// pem reads a file of PEM blocks.
func (c *contents) pem(text []byte) {
	blocks := decodeBlocks(text)
	damaged := damagedBlocks(text, blocks)
	for n, b := range blocks {
		if n == maxItems { // nobody is asked for a hundred passwords
			c.reportFull()
			break
		}
		c.block(b)
	}
	if damaged == 0 && len(blocks) > 0 {
		return
	}
	if strings.HasSuffix(strings.ToLower(c.name), ".p8") {
		c.report(c.unreadable("holds a PEM block that is damaged: its base64 is cut off or changed"))
		return
	}
	c.report(problemf(CodeDamaged, "%d of %d PEM blocks of %s are damaged: their base64 is cut off or changed.", damaged, damaged+len(blocks), c.name))
}

// block reads one PEM block, by its content rather than by its label.
func (c *contents) block(b *pem.Block) {
	if b.Type == pemECParameters {
		return // openssl ecparam writes the curve before the key
	}
	if b.Headers[pemKeyEncryption] != "" {
		c.lockedKey(b)
		return
	}
	switch shape := shapeOf(b.Bytes); shape {
	case shapePKCS12:
		c.pkcs12(b.Bytes)
	case shapeSignedData:
		c.profile(b.Bytes)
	case shapeUnknown:
		if strings.Contains(b.Type, "OPENSSH") {
			c.report(c.unreadable("is a key for SSH, which push has nothing to do with"))
			return
		}
		c.report(c.unreadable(fmt.Sprintf("holds a PEM block labelled %.40q that is none of the things that push has to do with", b.Type)))
	default:
		if want := labelShape(b.Type); want != shapeUnknown && want != shape {
			c.report(problemf(WarnRepaired, "A PEM block of %s is labelled %s, but holds %s.", c.name, b.Type, shape.article()))
		}
		c.value(shape, b.Bytes)
	}
}

// labelShape returns what a label promises, shapeUnknown where tools use
// labels loosely: any private key goes as any other.
func labelShape(label string) derShape {
	switch label {
	case pemCertificate:
		return shapeCertificate
	case pemRequest, pemOldRequest:
		return shapeRequest
	case pemPublicKey:
		return shapePublicKey
	}
	return shapeUnknown
}

// article says what a shape is, for the sentence "this is …".
func (s derShape) article() string {
	switch s {
	case shapeCertificate:
		return "a certificate"
	case shapeRequest:
		return "a certificate request"
	case shapeRevocationList:
		return "a revocation list"
	case shapePKCS8, shapeECKey, shapeRSAKey:
		return "a private key"
	case shapeEncryptedPKCS8:
		return "an encrypted private key"
	case shapePublicKey, shapeRSAPublicKey:
		return "a public key"
	case shapePKCS12:
		return "a PKCS#12 file"
	case shapeSignedData:
		return "a signed message"
	case shapeUnknown:
	}
	return "something else"
}

// value reads one DER value of a known shape. The errors of the parsers are
// dropped: some have seen a key.
func (c *contents) value(shape derShape, der []byte) {
	i := item{shape: shape}
	var err error
	switch shape {
	case shapeCertificate:
		i.cert, err = x509.ParseCertificate(der)
	case shapeRequest:
		i.request, err = x509.ParseCertificateRequest(der)
	case shapeRevocationList:
		i.list, err = x509.ParseRevocationList(der)
	case shapePublicKey:
		i.public, err = x509.ParsePKIXPublicKey(der)
	case shapeRSAPublicKey:
		i.public, err = x509.ParsePKCS1PublicKey(der)
	case shapePKCS8, shapeECKey, shapeRSAKey:
		i.key, err = parseKeyBlock(&pem.Block{Type: shape.label(), Bytes: der})
		defer clear(der)
	case shapeEncryptedPKCS8:
		c.lockedKey(&pem.Block{Type: pemEncryptedKey, Bytes: der})
		return
	default:
		c.report(c.unreadable("holds " + shape.article() + " where none is expected"))
		return
	}
	if _, ok := errors.AsType[*UnsupportedError](err); ok {
		c.report(c.lockProblem(err, false))
		return
	}
	if err != nil {
		c.report(problemf(CodeDamaged, "%s holds %s that is damaged, or of a kind that nobody uses for push.", c.name, shape.article()))
		return
	}
	c.add(i)
}

// profile reads a provisioning profile.
func (c *contents) profile(data []byte) {
	p, err := ParseProvisioningProfile(data)
	if err != nil {
		c.report(c.unreadable("is " + map[bool]string{true: "a signed message", false: "a property list"}[isDER(data)] + ", but not a provisioning profile"))
		return
	}
	c.add(item{shape: shapeSignedData, profile: &p})
}

// unreadable is the problem of a file that is none of ours. What people meant
// to be a .p8 file has its own code.
func (c *contents) unreadable(is string) Problem {
	if strings.HasSuffix(strings.ToLower(c.name), ".p8") {
		return problemf(CodeP8, "%s is not a .p8: it %s.", c.name, is)
	}
	return problemf(CodeUnknown, "%s %s.", c.name, is)
}

// unknown says what text is that holds no PEM.
func (c *contents) unknown(text []byte) {
	head := bytes.TrimSpace(text[:min(len(text), 512)])
	lower := bytes.ToLower(head)
	is := "holds no certificate and no key"
	switch {
	case len(head) == 0:
		is = "holds nothing but white space"
	case bytes.HasPrefix(head, []byte("bplist")):
		is = "is a binary property list"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		is = "is a ZIP archive: unpack it first"
	case bytes.HasPrefix(lower, []byte("<!doctype html")), bytes.HasPrefix(lower, []byte("<html")):
		is = "is a web page, perhaps that of a sign-in: download the file again"
	case bytes.HasPrefix(head, []byte("ssh-")), bytes.HasPrefix(head, []byte("ecdsa-sha2-")):
		is = "is a public key for SSH, which push has nothing to do with"
	case bytes.HasPrefix(head, []byte("eyJ")) && bytes.Count(text, []byte(".")) == 2:
		is = "is a provider token or another JWT, and not the key that signs them"
	case bytes.HasPrefix(head, []byte("{")):
		is = "is JSON, and holds no certificate and no key"
	case bytes.IndexByte(text, 0) >= 0:
		is = "is binary, and neither DER nor PKCS#12"
	}
	c.report(c.unreadable(is))
}

// isProviderKey reports whether a private key can be that of a .p8.
func isProviderKey(key crypto.Signer) bool {
	k, ok := key.(*ecdsa.PrivateKey)
	return ok && k.Curve == elliptic.P256()
}

// keyWords says of what kind a key is, such as "RSA 2048".
func keyWords(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Params().Name
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", pub), "*")
}
