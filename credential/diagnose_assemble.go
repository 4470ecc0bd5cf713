package credential

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// File is the name and the content of a file. The name is for messages.
type File struct {
	Name string
	Data []byte
}

// AssembleOptions say how Assemble reads and which identity it takes.
type AssembleOptions struct {
	// Password is that of InspectOptions.
	Password PasswordFunc
	// Number chooses among several identities, counting from 1 as the report
	// of Inspect does. Zero: the one that Topic and Environment leave.
	Number int
	// Topic and Environment say what the identity is for. Zero asks nothing.
	Topic       apns.Topic
	Environment apns.Environment
	// Now is the time for which validity is judged. Zero: it is not judged.
	Now time.Time
}

// Assemble joins a certificate from one file and its private key from another,
// or takes both from one file, where key has no data. Each may be PEM, DER or
// PKCS#12, whole or mangled, and hold more than its part; they are matched by
// the public key. Further certificates of either become the chain.
//
// The error is a Problem and says why there is no identity: one of
// CodePassword, CodeMismatch, CodeNoKey, CodeNoCert, CodeMany, CodeRequest,
// CodeNotPush, or a code for a file that can not be read. The problems are all
// that was found, that one too. An identity that is expired, or not for the
// topic and environment of o, is returned, with problems that say so.
func Assemble(cert, key File, o AssembleOptions) (Identity, []Problem, error) {
	certs := readFile(cert.Name, cert.Data, o.Password)
	keys := certs
	problems := certs.problems
	if key.Data != nil || key.Name != "" {
		keys = readFile(key.Name, key.Data, o.Password)
		problems = append(problems, keys.problems...)
	}
	fail := func(p Problem) (Identity, []Problem, error) {
		if !hasCode(problems, p.Code) {
			problems = append(problems, p)
		}
		return Identity{}, problems, p
	}
	if p, ok := missingPart(certs, keys); ok {
		// What could not be read is the better reason, if it can be one.
		if reason, ok := errors.AsType[Problem](firstError(problems)); ok {
			return fail(reason)
		}
		return fail(p)
	}
	items := join(certs, keys)
	chosen, p, ok := choose(items, certs.name, o)
	if !ok {
		return fail(p)
	}
	leaf := items[chosen.cert]
	if _, err := ParsePushCertificate(leaf.cert); errors.Is(err, ErrNotPush) {
		return fail(notPush(certs.name, leaf.cert))
	}
	problems = append(problems, verifyCertificate(leaf, certs.name, VerifyOptions{
		Topic: o.Topic, Environment: o.Environment, Now: o.Now,
	})...)
	id := Identity{Certificate: leaf.cert, Key: items[chosen.key].key}
	all := new(PKCS12)
	for _, i := range items {
		if i.cert != nil {
			all.Certificates = append(all.Certificates, PKCS12Certificate{Certificate: i.cert})
		}
	}
	id.Chain = all.chain(leaf.cert)
	return id, dedupe(problems), nil
}

// join returns the items of both files, the same certificate once.
func join(certs, keys *contents) []item {
	items := slices.Clone(certs.items)
	if keys == certs {
		return items
	}
	for _, i := range keys.items {
		same := func(have item) bool { return have.cert != nil && have.cert.Equal(i.cert) }
		if i.cert == nil || !slices.ContainsFunc(items, same) {
			items = append(items, i)
		}
	}
	return items
}

// missingPart says which part of an identity the files lack, and what they
// hold in its place. It reports false if there is an identity in them.
func missingPart(certs, keys *contents) (Problem, bool) {
	items := join(certs, keys)
	if len(pairs(items)) > 0 {
		return Problem{}, false
	}
	leaf := slices.ContainsFunc(items, func(i item) bool { return i.cert != nil && !i.cert.IsCA })
	key := slices.ContainsFunc(items, item.isKey)
	switch {
	case !leaf:
		return noCertificate(certs), true
	case !key:
		return noKey(keys), true
	case !slices.ContainsFunc(items, func(i item) bool { return i.key != nil }):
		return problemf(CodePassword, "%s is locked with a password, and none was given.", keys.name), true
	}
	return mismatchIn(items, keys.name), true
}

// noCertificate says what there is in place of a certificate.
func noCertificate(c *contents) Problem {
	var key item
	for _, i := range c.items {
		switch {
		case i.request != nil:
			return problemf(CodeRequest, "%s is a request, not a certificate.", c.name)
		case i.profile != nil:
			return problemf(CodeNotPush, "%s is a provisioning profile, not a certificate: it is for signing an app.", c.name)
		case i.cert != nil: // only authorities are left
			return notPush(c.name, i.cert)
		case i.isKey():
			key = i
		}
	}
	switch {
	case len(c.items) == 1 && isProviderKey(key.key) && strings.HasSuffix(strings.ToLower(c.name), ".p8"):
		return problemf(CodeNoCert, "%s is a provider key, not a certificate.", c.name).
			withHint("A .p8 works without a certificate: give it to your server together with its key ID and your team ID.")
	case key.isKey():
		return problemf(CodeNoCert, "%s holds a private key and no certificate: this is half of the pair.", c.name).
			withHint("Join it with the certificate that the portal issued: herald cert assemble --key %s --cert aps_developer_identity.cer.", shellWord(c.name))
	}
	return problemf(CodeNoCert, "%s holds no certificate.", c.name)
}

// noKey says what there is in place of a private key.
func noKey(c *contents) Problem {
	for _, i := range c.items {
		switch {
		case i.request != nil:
			return problemf(CodeNoKey, "%s is a certificate request, which never holds the private key.", c.name).
				withHint("Use the key that was made together with it, such as Push.p12.")
		case i.public != nil:
			return problemf(CodeNoKey, "%s holds the public half of a key, not the private one.", c.name)
		}
	}
	n := len(c.items)
	switch n {
	case 0:
		return problemf(CodeNoKey, "%s holds no private key.", c.name)
	case 1:
		return problemf(CodeNoKey, "%s contains only a certificate.", c.name)
	}
	return problemf(CodeNoKey, "%s contains only %d certificates.", c.name, n)
}

// mismatchIn names the first certificate and the first key among items, which
// do not belong together. The file is that of the key.
func mismatchIn(items []item, file string) Problem {
	var cert *x509.Certificate
	var key crypto.PublicKey
	for _, i := range items {
		if cert == nil && i.cert != nil && !i.cert.IsCA {
			cert = i.cert
		}
		if key == nil && i.key != nil {
			key = i.key.Public()
		}
	}
	return mismatchProblem(file, cert, key)
}

func mismatchProblem(file string, cert *x509.Certificate, key crypto.PublicKey) Problem {
	return problemf(CodeMismatch, "The key in %s (SHA-256 %s) is not the one that the certificate was issued for (%s).",
		file, shortFingerprint(key), shortFingerprint(cert.PublicKey))
}

// choose picks one of the identities among items: by its number; else the only
// one; else the only one for the wanted topic and environment; else the only
// one for push.
func choose(items []item, file string, o AssembleOptions) (pair, Problem, bool) {
	all := pairs(items)
	switch {
	case len(all) == 0:
		return pair{}, problemf(CodeNoKey, "%s holds no identity.", file), false
	case o.Number < 0 || o.Number > len(all):
		return pair{}, problemf(CodeMany, "%s holds %s; there is no number %d:%s", file, count(len(all), "identity", "identities"), o.Number, identityList(items, all)), false
	case o.Number > 0:
		return all[o.Number-1], Problem{}, true
	case len(all) == 1:
		return all[0], Problem{}, true
	}
	fitting := slices.DeleteFunc(slices.Clone(all), func(p pair) bool {
		push, err := ParsePushCertificate(items[p.cert].cert)
		return err != nil || o.Environment != 0 && !push.Allows(o.Environment) || o.Topic != "" && !push.AllowsTopic(o.Topic)
	})
	if len(fitting) == 1 {
		return fitting[0], Problem{}, true
	}
	p := problemf(CodeMany, "%s holds %d identities:%s", file, len(all), identityList(items, all))
	if o.Topic != "" || o.Environment != 0 {
		p.Message = fmt.Sprintf("%s holds %d identities, of which %d are for what you asked for:%s", file, len(all), len(fitting), identityList(items, all))
	}
	return pair{}, p.withHint("Choose one by its number: --identity %d.", len(all)), false
}

// identityList is a numbered list, each line after a line end.
func identityList(items []item, all []pair) string {
	var b bytes.Buffer
	for n, p := range all {
		cert := items[p.cert].cert
		fmt.Fprintf(&b, "\n  %d  %s, expires %s", n+1, printable(cert.Subject.CommonName), dateText(cert.NotAfter))
	}
	return b.String()
}
