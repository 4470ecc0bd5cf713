package credential

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/heraldpush/herald/apns"
)

// warnDays is how long before its end a certificate is worth a warning.
const warnDays = 30

// judge adds the problems that show without knowing what the file is for.
func (r *Report) judge() {
	items := r.contents.items
	for n, i := range items {
		r.judgeObject(&r.Objects[n], i)
	}
	certs, keys, locked := 0, 0, 0
	for _, i := range items {
		switch {
		case i.cert != nil && !i.cert.IsCA:
			certs++
		case i.key != nil:
			keys++
		case i.isKey():
			locked++
		}
	}
	opened := r.Format == "PKCS#12" && firstError(r.Problems) == nil
	switch {
	case certs > 0 && keys > 0 && len(r.Identities) == 0:
		r.add(mismatchIn(items, r.Name))
	case opened && certs > 0 && keys+locked == 0:
		r.add(problemf(CodeNoKey, "%s contains only %s.", r.Name, count(certs, "certificate", "certificates")))
	}
}

func (r *Report) add(p Problem) { r.Problems = append(r.Problems, p) }

func (r *Report) judgeObject(o *Object, i item) {
	switch {
	case i.cert != nil:
		r.Problems = append(r.Problems, certificateProblems(r.Name, i, r.wanted.Now, warnDays)...)
	case i.request != nil:
		if err := i.request.CheckSignature(); err != nil {
			r.add(problemf(CodeDamaged, "The request %s was not signed by the key it is for, or was changed since.", r.Name))
		}
		if err := checkPublicKey(i.request.PublicKey); err != nil {
			r.add(weakKey("the request", err))
		}
	case i.profile != nil && i.profile.Wildcard():
		r.add(problemf(CodeWildcard, "The profile is for %s, which cannot have push: a topic is one bundle ID.", printable(i.profile.BundleID)))
	case i.key != nil:
		r.judgeKey(o, i)
	}
}

// judgeKey tells a provider key from the key of a certificate.
func (r *Report) judgeKey(o *Object, i item) {
	named := strings.HasSuffix(strings.ToLower(r.Name), ".p8")
	alone := len(r.contents.items) == 1 && r.Format != "PKCS#12"
	locked := i.encryption != "" // which a .p8 never is
	switch {
	case isProviderKey(i.key) && alone && (named || !locked):
		o.Kind = KindProviderKey
		o.KeyID = KeyIDFromFileName(r.Name)
		if o.KeyID == "" && named {
			r.add(problemf(WarnKeyID, "The name %s holds no key ID, and neither does the file itself.", r.Name))
		}
	case named:
		r.add(problemf(CodeP8, "%s is not a .p8: found %s private key, and a .p8 holds one on ECDSA P-256.", r.Name, article(o.Key.Algorithm)))
	}
}

func article(s string) string {
	if strings.HasPrefix(s, "RSA") || strings.HasPrefix(s, "E") {
		return "an " + s
	}
	return "a " + s
}

func weakKey(of string, err error) Problem {
	text := strings.TrimPrefix(err.Error(), ErrWeakKey.Error()+": ")
	found, _, _ := strings.Cut(text, ";")
	return problemf(CodeWeakKey, "The key of %s is not accepted: %s.", of, found)
}

// keyFile matches the name under which Apple hands out a provider key, also
// after a browser has put a number behind it.
var keyFile = regexp.MustCompile(`AuthKey_([A-Z0-9]{10})(?:[^A-Z0-9]|$)`)

// KeyIDFromFileName returns the key ID in the name of a .p8 file, such as
// "AuthKey_2X9R4HXF34.p8" or "APNsAuthKey_2X9R4HXF34 (1).p8". It is empty if
// there is none.
func KeyIDFromFileName(name string) apns.KeyID {
	if m := keyFile.FindStringSubmatch(name); m != nil {
		return apns.KeyID(m[1])
	}
	return ""
}

// kind says in words what the file is.
func (r *Report) kind() string {
	if len(r.Objects) == 0 {
		if r.Format == "PKCS#12" {
			return "PKCS#12 file"
		}
		return "unknown"
	}
	var what string
	n := countKinds(r.Objects)
	switch {
	case len(r.Identities) == 1:
		what = "identity: a certificate and its private key"
	case len(r.Identities) > 1:
		what = fmt.Sprintf("%d identities", len(r.Identities))
	case len(r.Objects) == 1:
		what = string(r.Objects[0].Kind)
	case n.certs > 0 && n.keys > 0:
		what = "certificate and private key that do not belong together"
		if n.locked > 0 {
			what = "certificate and locked private key"
		}
	case n.certs == len(r.Objects):
		what = count(n.certs, "certificate", "certificates")
	case n.keys == len(r.Objects):
		what = count(n.keys, "private key", "private keys")
	default:
		what = count(len(r.Objects), "object", "objects")
	}
	if r.Format == "PKCS#12" {
		return "PKCS#12 file with " + withArticle(what)
	}
	return what
}

func withArticle(what string) string {
	switch {
	case what[0] >= '0' && what[0] <= '9':
		return what
	case strings.ContainsRune("aeiou", rune(what[0])):
		return "an " + what
	}
	return "a " + what
}

// kindCount counts certificates and private keys; locked keys are keys too.
type kindCount struct{ certs, keys, locked int }

func countKinds(objects []Object) kindCount {
	var n kindCount
	for _, o := range objects {
		switch {
		case o.Fingerprint != "":
			n.certs++
		case o.Kind == KindPrivateKey || o.Kind == KindProviderKey:
			n.keys++
			if o.Key == nil {
				n.locked++
			}
		}
	}
	return n
}

// next says what to do with such a file.
func (r *Report) next() string {
	if err := firstError(r.Problems); err != nil {
		if p, ok := errors.AsType[Problem](err); ok {
			return p.Hint
		}
	}
	if len(r.Identities) > 0 {
		i := r.Identities[0]
		o := r.Objects[i.Certificate-1]
		switch {
		case o.Kind != KindPushCertificate:
			return ""
		case len(r.Identities) > 1:
			return fmt.Sprintf("Choose one of the %d with --identity.", len(r.Identities))
		}
		return fmt.Sprintf("herald cert verify %s --env %s, or give the file to your server.", shellWord(r.Name), o.Environments[0])
	}
	if len(r.Objects) == 0 {
		return ""
	}
	switch o := r.Objects[0]; o.Kind {
	case KindPushCertificate:
		return "Join it with its private key: herald cert assemble --cert " + shellWord(r.Name) + " --key Push.p12."
	case KindPrivateKey:
		return "Join it with its certificate: herald cert assemble --key " + shellWord(r.Name) + " --cert aps_developer_identity.cer."
	case KindProviderKey:
		id := string(o.KeyID)
		if id == "" {
			id = "KEYID"
		}
		return "Make a provider token: herald key token " + shellWord(r.Name) + " --key-id " + id + " --team TEAM."
	case KindRequest:
		return "Upload it on the portal, and keep the private key it was made with; the answer is a .cer file."
	case KindCodeSigning:
		return NewProblem(CodeNotPush, "").Hint
	case KindProfile:
		e := o.Profile.PushEnvironment
		if e == 0 {
			return "It is for signing an app, which has no push: add the capability to its App ID."
		}
		return fmt.Sprintf("It is for signing an app, and no credential for sending. The app's device tokens belong to %s.", e)
	case KindRootAuthority:
		return "Trust it where certificates of this authority are to be checked."
	case KindPublicKey:
		return "It is the public half of a key: nothing can be sent with it."
	default:
		return ""
	}
}

// shellWord quotes a file's name where a shell needs it.
func shellWord(s string) string {
	for _, r := range s {
		if !strings.ContainsRune("._-+@%/", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return s
}
