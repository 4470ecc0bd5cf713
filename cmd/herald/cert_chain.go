package main

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/heraldpush/herald/credential"
)

// maxChain bounds the certificates of a chain, as those who read it do.
const maxChain = 10

// addChain adds the issuers that a file holds to the chain of an identity, the
// nearest first, without the root, which the other side has. Signatures are not
// checked: whoever verifies the chain does.
func addChain(id *credential.Identity, name string, p *passwords) ([]credential.Problem, error) {
	in, err := readInput(name)
	if err != nil {
		return nil, err
	}
	f := inspect(in, p)
	if f.err != nil {
		return f.report.Problems, nil //nolint:nilerr // its problems say it
	}
	held := f.report.Contents()
	file := f.report.Name
	if len(held.Certificates) == 0 && len(held.Requests) > 0 {
		// What walkthroughs pass to openssl's -certfile.
		b := credential.NewProblem(credential.CodeRequest, file+" is a request, not a certificate.")
		b.Hint = "--chain is for the certificates of the issuers; leave it out, or download those."
		return []credential.Problem{b}, nil
	}
	if len(held.Certificates) == 0 {
		return []credential.Problem{credential.NewProblem(credential.CodeNoCert, file+" holds no certificate.")}, nil
	}
	last := id.Certificate
	if n := len(id.Chain); n > 0 {
		last = id.Chain[n-1]
	}
	added := 0
	for len(id.Chain) < maxChain {
		i := slices.IndexFunc(held.Certificates, func(o credential.PKCS12Certificate) bool {
			next := o.Certificate
			return issued(next, last) && !bytes.Equal(next.RawSubject, next.RawIssuer) && !slices.ContainsFunc(id.Chain, next.Equal)
		})
		if i < 0 {
			break
		}
		last = held.Certificates[i].Certificate
		id.Chain = append(id.Chain, last)
		added++
	}
	problems := warnings(f.report.Problems)
	if added == 0 {
		b := credential.NewProblem(credential.WarnIgnored, fmt.Sprintf("%s holds no issuer of %q that is not there already.", file, plain(last.Subject.CommonName)))
		b.Hint = fmt.Sprintf("Its issuer is %q. A root is left out: who trusts it has it.", plain(last.Issuer.CommonName))
		problems = append(problems, b)
	}
	return problems, nil
}

// issued reports whether cert names issuer as its issuer.
func issued(issuer, cert *x509.Certificate) bool {
	if !bytes.Equal(issuer.RawSubject, cert.RawIssuer) {
		return false
	}
	return len(issuer.SubjectKeyId) == 0 || len(cert.AuthorityKeyId) == 0 || bytes.Equal(issuer.SubjectKeyId, cert.AuthorityKeyId)
}

// warnings returns those of problems that are no errors.
func warnings(problems []credential.Problem) []credential.Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p credential.Problem) bool { return !p.Code.Warning() })
}
