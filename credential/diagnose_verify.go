package credential

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heraldpush/herald/apns"
)

// VerifyOptions say what a credential is wanted for. What is zero is not
// asked.
type VerifyOptions struct {
	// Topic is what is to be sent to.
	Topic apns.Topic
	// Environment is the one of the gateway.
	Environment apns.Environment
	// Now is the time for which validity is judged.
	Now time.Time
	// MinDays is how many days the certificate must still be valid for there
	// to be no warning. Zero stands for 30.
	MinDays int
	// PreviousTopic is the topic that the certificate before this one was
	// for, where devices hold on to it, as in device management.
	PreviousTopic apns.Topic

	// KeyID and TeamID are those that a provider key is used with.
	KeyID  apns.KeyID
	TeamID apns.TeamID
	// KeyScope is the environment that a provider key is bound to, as its
	// page says: the file itself does not.
	KeyScope apns.Environment
}

func (o VerifyOptions) minDays() int {
	if o.MinDays == 0 {
		return warnDays
	}
	return o.MinDays
}

// Verify returns what stands against using the file as o wants it, besides
// r.Problems that say so already: those come first. Without any that is no
// warning, the file is a credential for o: an identity or a provider key.
func (r *Report) Verify(o VerifyOptions) []Problem {
	var found []Problem
	for _, p := range r.Problems {
		switch p.Code {
		case CodeExpired, CodeNotYet, WarnExpires: // judged again, by o
		default:
			found = append(found, p)
		}
	}
	if firstError(found) != nil && len(r.Objects) == 0 {
		return found // it could not be read; what is missing in it is unknown
	}
	if len(r.Objects) == 1 && r.Objects[0].Kind == KindProviderKey {
		return append(found, verifyProviderKey(r.Name, r.Objects[0].KeyID, o)...)
	}
	if p, ok := missingPart(r.contents, r.contents); ok {
		if !hasCode(found, p.Code) {
			found = append(found, p)
		}
		// What the certificate itself says is worth knowing all the same.
		for _, i := range r.contents.items {
			if i.cert != nil && !i.cert.IsCA && p.Code == CodeNoKey {
				found = append(found, verifyCertificate(i, r.Name, o)...)
			}
		}
		return dedupe(found)
	}
	chosen, p, ok := choose(r.contents.items, r.Name, AssembleOptions{Topic: o.Topic, Environment: o.Environment})
	if !ok {
		return append(found, p)
	}
	return dedupe(append(found, verifyCertificate(r.contents.items[chosen.cert], r.Name, o)...))
}

// Verify returns what stands against using id as o wants it. Without any that
// is no warning, id will do.
func (id Identity) Verify(o VerifyOptions) []Problem {
	switch {
	case id.Certificate == nil:
		return []Problem{NewProblem(CodeNoCert, "There is no certificate.")}
	case id.Key == nil:
		return []Problem{NewProblem(CodeNoKey, "There is no private key.")}
	case !samePublicKey(id.Key.Public(), id.Certificate.PublicKey):
		return []Problem{mismatchProblem("the identity", id.Certificate, id.Key.Public())}
	}
	return verifyCertificate(item{cert: id.Certificate}, "the identity", o)
}

// dedupe drops what was said before.
func dedupe(problems []Problem) []Problem {
	var kept []Problem
	for _, p := range problems {
		if !slices.Contains(kept, p) {
			kept = append(kept, p)
		}
	}
	return kept
}

func hasCode(problems []Problem, c Code) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Code == c })
}

// verifyCertificate judges a certificate by itself and by what it is wanted
// for.
func verifyCertificate(i item, name string, o VerifyOptions) []Problem {
	found := certificateProblems(name, i, o.Now, o.minDays())
	push, err := ParsePushCertificate(i.cert)
	if errors.Is(err, ErrNotPush) {
		return append(found, notPush(name, i.cert))
	}
	if err != nil {
		return found // certificateProblems said so
	}
	if o.Environment != 0 && !push.Allows(o.Environment) {
		found = append(found, wrongEnvironment(push, o.Environment))
	}
	if p, ok := verifyTopic(push, o.Topic); !ok {
		found = append(found, p)
	}
	if o.PreviousTopic != "" && !push.AllowsTopic(o.PreviousTopic) {
		found = append(found, problemf(WarnTopicChanged, "The topic %s differs from %s, which is in use: devices that are enrolled will stop receiving.",
			topicList(push.Topics), printable(string(o.PreviousTopic))))
	}
	return found
}

// certificateProblems judges what is wrong with a certificate whatever it is
// for: its time, its signature, its key, its form.
func certificateProblems(name string, i item, now time.Time, minDays int) []Problem {
	cert := i.cert
	called := quoted(cert, name)
	var found []Problem
	if !now.IsZero() {
		days := daysBetween(now, cert.NotAfter)
		switch {
		case now.Before(cert.NotBefore):
			found = append(found, problemf(CodeNotYet, "%s is valid from %s on only.", called, cert.NotBefore.UTC().Format(time.RFC3339)))
		case now.After(cert.NotAfter):
			found = append(found, problemf(CodeExpired, "%s expired %s (%s).", called, ago(now, cert.NotAfter), dateText(cert.NotAfter)))
		case days < minDays:
			found = append(found, problemf(WarnExpires, "%s expires %s (%s).", called, inDays(days), dateText(cert.NotAfter)))
		}
	}
	switch cert.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.MD5WithRSA:
		found = append(found, problemf(WarnSHA1, "%s is signed with %s, as before 2017.", called, cert.SignatureAlgorithm))
	default:
	}
	if err := checkPublicKey(cert.PublicKey); err != nil && kindOfCertificate(cert) == KindPushCertificate {
		found = append(found, weakKey(called, err))
	}
	if _, err := ParsePushCertificate(cert); err != nil && !errors.Is(err, ErrNotPush) {
		found = append(found, problemf(CodeDamaged, "%s claims to be a push certificate and is malformed: %s.", called,
			printable(strings.TrimPrefix(err.Error(), "push certificate: "))))
	}
	return found
}

// quoted names a certificate in a sentence.
func quoted(cert *x509.Certificate, file string) string {
	if cert.Subject.CommonName == "" {
		return "The certificate in " + file
	}
	return fmt.Sprintf("The certificate %q", printable(cert.Subject.CommonName))
}

// ago says how long before now t was.
func ago(now, t time.Time) string {
	switch d := daysBetween(t, now); d {
	case 0:
		return "today"
	case 1:
		return "1 day ago"
	default:
		return fmt.Sprintf("%d days ago", d)
	}
}

func inDays(d int) string {
	switch d {
	case 0:
		return "within a day"
	case 1:
		return "in 1 day"
	default:
		return fmt.Sprintf("in %d days", d)
	}
}

// notPush says what a certificate is for, if not for push.
func notPush(name string, cert *x509.Certificate) Problem {
	switch kind := kindOfCertificate(cert); kind {
	case KindCodeSigning:
		return problemf(CodeNotPush, "%s was issued for code signing (it has no push extension).", quoted(cert, name))
	case KindRootAuthority, KindIntermediate:
		return problemf(CodeNotPush, "%s is that of an authority, not one that was issued for push.", quoted(cert, name))
	default:
		return problemf(CodeNotPush, "%s is a %s: it has no push extension.", quoted(cert, name), kind)
	}
}

// wrongEnvironment names the extension that is missing, since other tools show
// nothing else.
func wrongEnvironment(push PushCertificate, want apns.Environment) Problem {
	has, oid := apns.Sandbox, oidProduction
	if push.Production {
		has, oid = apns.Production, oidSandbox
	}
	p := problemf(CodeEnvironment, "This certificate is valid for %s only (it has no extension %s); the gateway is %s.", has, oid, want)
	return p.withHint("Use the %s gateway, or a certificate for %s. The gateway's word for it is %s.", has, want, apns.BadCertificateEnvironment)
}

// verifyTopic judges the wanted topic; an empty one asks nothing.
func verifyTopic(push PushCertificate, t apns.Topic) (Problem, bool) {
	switch {
	case t == "":
		return Problem{}, true
	case strings.Contains(string(t), "*"):
		return wildcard(t), false
	case !push.AllowsTopic(t):
		return problemf(CodeTopic, "The certificate allows %s; you asked for %s.", topicList(push.Topics), printable(string(t))), false
	}
	return Problem{}, true
}

func wildcard(t apns.Topic) Problem {
	return problemf(CodeWildcard, "%s cannot have push: a topic is one bundle ID.", printable(string(t)))
}

// topicList joins topics for a sentence.
func topicList(topics []apns.Topic) string {
	words := make([]string, 0, len(topics))
	for _, t := range topics {
		words = append(words, string(t))
	}
	return strings.Join(words, ", ")
}

// verifyProviderKey judges what stands beside a provider key. An empty
// fromName is no key ID in the file's name.
func verifyProviderKey(name string, fromName apns.KeyID, o VerifyOptions) []Problem {
	var found []Problem
	for _, id := range []string{string(o.KeyID), string(o.TeamID)} {
		if id != "" && checkID("", id) != nil {
			found = append(found, problemf(CodeKeyID, "Key ID and team ID are 10 upper-case letters and digits; got '%.40s'.", printable(id)))
		}
	}
	if o.KeyID != "" && fromName != "" && o.KeyID != fromName && checkKeyID(o.KeyID) == nil {
		found = append(found, problemf(WarnKeyID, "The file %s is named after the key %s; you gave %s.", name, fromName, o.KeyID))
	}
	if o.KeyScope != 0 && o.Environment != 0 && o.KeyScope != o.Environment {
		id := o.KeyID
		if id == "" {
			id = fromName
		}
		p := problemf(CodeKeyScope, "The key %s is for %s; the gateway is %s.", id, o.KeyScope, o.Environment)
		found = append(found, p.withHint("Use a key for %s. The gateway's word for it is %s.", o.Environment, apns.BadEnvironmentKeyInToken))
	}
	if strings.Contains(string(o.Topic), "*") {
		found = append(found, wildcard(o.Topic))
	}
	return found
}
