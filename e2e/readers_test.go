package e2e

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	xpkcs12 "golang.org/x/crypto/pkcs12"
	gopkcs12 "software.sslmate.com/src/go-pkcs12"
)

// found is what a reader gets out of a file.
type found struct {
	cert    string // SHA-256 of the certificate in DER, in hex; empty for none
	key     string // SHA-256 of the public key in DER (SPKI), in hex; empty for none
	issuers int    // how many certificates came along
}

// reading is a file to be read.
type reading struct {
	path, password string
}

// result is what became of a reading.
type result struct {
	found
	err error
}

// reader is a program or a library that reads credentials.
type reader struct {
	of, name string // which program or language, and what of it
	// What it gets out of a file that has it.
	cert, key, issuers bool
	// read reads all files, in as few runs as it can.
	read func(*testing.T, []reading) []result
}

// readers returns those of the matrix, in the order of its columns.
func readers() []reader {
	return []reader{
		{"openssl", "pkcs12", true, true, true, openssl("pkcs12", "-noenc")},
		{"openssl", "pkcs12 -legacy", true, true, true, openssl("pkcs12", "-legacy", "-noenc")},
		{"openssl", "x509", true, true, false, openssl("x509")},
		{"openssl", "pkey", false, true, false, openssl("pkey")},
		{"openssl", "req", false, true, false, openssl("req", "-pubkey", "-verify", "-noout")},
		{"openssl", "req -inform DER", false, true, false, openssl("req", "-inform", "DER", "-pubkey", "-verify", "-noout")},
		{"Node", "tls pfx", true, true, true, batch("pfx", "node", "testdata/read.js")},
		{"Node", "tls cert+key", true, true, true, batch("pair", "node", "testdata/read.js")},
		{"Node", "X509Certificate", true, true, false, batch("certificate", "node", "testdata/read.js")},
		{"Node", "createPrivateKey", false, true, false, batch("key", "node", "testdata/read.js")},
		{"JDK", "KeyStore", true, true, true, batch("keystore", "java", "Read")},
		{"JDK", "CertificateFactory", true, true, false, batch("certificate", "java", "Read")},
		{"PHP", "pkcs12_read", true, true, true, batch("pkcs12", "php", "testdata/read.php")},
		{"PHP", "x509_read", true, true, false, batch("certificate", "php", "testdata/read.php")},
		{"PHP", "pkey_get_private", false, true, false, batch("key", "php", "testdata/read.php")},
		{"PHP", "csr_get_public_key", false, true, false, batch("request", "php", "testdata/read.php")},
		{"Go", "x/crypto/pkcs12", true, true, false, library(readXCrypto)},
		{"Go", "go-pkcs12", true, true, true, library(readGoPKCS12)},
		{"Go", "tls.X509KeyPair", true, true, true, library(readKeyPair)},
		{"Go", "x509", true, true, false, library(readCertificate)},
		{"herald", "cert inspect", true, true, true, inspect},
	}
}

// String is the name of r in messages and in the matrix.
func (r reader) String() string { return r.of + " " + r.name }

// need ends the test where the program is missing.
func (r reader) need(t *testing.T) {
	t.Helper()
	switch r.of {
	case "openssl":
		needTool(t, "openssl", "reads credentials", "openssl")
	case "Node":
		needTool(t, "node", "reads credentials as programs in Node do", "nodejs")
	case "JDK":
		needJava(t)
	case "PHP":
		needTool(t, "php", "reads credentials as programs in PHP do", "php-cli")
	}
}

// openssl reads with a command of openssl, which prints PEM.
func openssl(args ...string) func(*testing.T, []reading) []result {
	return each(func(t *testing.T, r reading) (found, error) {
		t.Helper()
		args := append([]string{"openssl"}, args...)
		o := program{
			args: append(args, "-in", r.path, "-passin", "env:FILE_PASSWORD"),
			env:  []string{"FILE_PASSWORD=" + r.password},
		}.run(t)
		if o.status != 0 {
			return found{}, errors.New(oneLine(o.stderr))
		}
		return readPEM(o.stdout)
	})
}

// batch reads with a program that takes all files in one run; what it prints
// is said in its source.
func batch(reader, interpreter, source string) func(*testing.T, []reading) []result {
	return func(t *testing.T, files []reading) []result {
		t.Helper()
		var jobs strings.Builder
		for _, r := range files {
			fmt.Fprintf(&jobs, "%s\t%s\t%s\n", reader, r.path, r.password)
		}
		args := []string{interpreter, source}
		if interpreter == "java" {
			args = java(t, source)
		} else {
			args[1] = abs(t, source)
		}
		o := program{args: args, stdin: jobs.String()}.mustRun(t)
		lines := strings.Split(strings.TrimSuffix(o.stdout, "\n"), "\n")
		if len(lines) != len(files) {
			t.Fatalf("%s: got %d lines for %d files\n%s%s", source, len(lines), len(files), o.stdout, o.stderr)
		}
		var all []result
		for i, line := range lines {
			f := strings.Split(line, "\t")
			switch {
			case f[0] == "no" && len(f) == 2:
				all = append(all, result{err: errors.New(f[1])})
			case f[0] == "ok" && len(f) == 4:
				issuers, err := strconv.Atoi(f[3])
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, result{found: found{f[1], f[2], issuers}})
			default:
				t.Fatalf("%s: got %q for %s", source, line, files[i].path)
			}
		}
		return all
	}
}

// library reads with a function of a Go library.
func library(read func(data []byte, password string) (found, error)) func(*testing.T, []reading) []result {
	return each(func(t *testing.T, r reading) (found, error) {
		t.Helper()
		data, err := os.ReadFile(r.path)
		if err != nil {
			t.Fatal(err)
		}
		return read(data, r.password)
	})
}

// each reads the files one by one.
func each(read func(*testing.T, reading) (found, error)) func(*testing.T, []reading) []result {
	return func(t *testing.T, files []reading) (all []result) {
		t.Helper()
		for _, r := range files {
			f, err := read(t, r)
			all = append(all, result{f, err})
		}
		return all
	}
}

func readXCrypto(data []byte, password string) (found, error) {
	key, cert, err := xpkcs12.Decode(data, password)
	if err != nil {
		return found{}, err
	}
	return holds(key, cert)
}

func readGoPKCS12(data []byte, password string) (found, error) {
	key, cert, issuers, err := gopkcs12.DecodeChain(data, password)
	if err != nil {
		return found{}, err
	}
	return holds(key, cert, issuers...)
}

func readKeyPair(data []byte, _ string) (found, error) {
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return found{}, err
	}
	f, err := holds(pair.PrivateKey, pair.Leaf)
	f.issuers = len(pair.Certificate) - 1
	return f, err
}

func readCertificate(data []byte, _ string) (found, error) {
	cert, err := x509.ParseCertificate(data)
	if err != nil {
		return found{}, err
	}
	return holds(nil, cert)
}

// holds describes a certificate, its private key where there is one, and its
// issuers. The error says so if the key is another's.
func holds(key any, cert *x509.Certificate, issuers ...*x509.Certificate) (found, error) {
	spki, err := publicKeySum(cert.PublicKey)
	if err != nil {
		return found{}, err
	}
	if key != nil {
		signer, ok := key.(crypto.Signer)
		if !ok {
			return found{}, fmt.Errorf("the private key is a %T", key)
		}
		if own, err := publicKeySum(signer.Public()); err != nil || own != spki {
			return found{}, fmt.Errorf("the private key is not that of the certificate: %w", err)
		}
	}
	return found{sum(cert.Raw), spki, len(issuers)}, nil
}

// readPEM describes what openssl prints.
func readPEM(text string) (f found, err error) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		var public any
		switch block.Type {
		case "CERTIFICATE":
			if f.cert != "" {
				f.issuers++
				continue
			}
			f.cert = sum(block.Bytes)
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return f, err
			}
			public = cert.PublicKey
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return f, err
			}
			public = key.(crypto.Signer).Public() //nolint:errcheck // all of them are
		case "PUBLIC KEY":
			if public, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
				return f, err
			}
		default:
			return f, fmt.Errorf("unexpected PEM block %q", block.Type)
		}
		spki, err := publicKeySum(public)
		if err != nil {
			return f, err
		}
		if f.key != "" && f.key != spki {
			return f, errors.New("the private key is not that of the certificate")
		}
		f.key = spki
	}
	if f == (found{}) {
		return f, fmt.Errorf("nothing in it: %s", oneLine(text))
	}
	return f, nil
}

// inspect reads with herald itself.
func inspect(t *testing.T, files []reading) (all []result) {
	t.Helper()
	for _, r := range files {
		o := program{
			args: []string{binary(t), "cert", "inspect", "--json", r.path},
			env:  []string{"HERALD_PASSWORD=" + r.password},
		}.run(t)
		if o.status != 0 {
			all = append(all, result{err: errors.New(oneLine(o.stderr))})
			continue
		}
		f, err := readReport(o.stdout)
		all = append(all, result{f, err})
	}
	return all
}

// readReport describes what `herald cert inspect --json` and `herald key
// inspect --json` print.
func readReport(text string) (f found, err error) {
	var report struct {
		Objects []struct {
			Fingerprint string
			Key         struct{ Fingerprint string }
		}
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return f, fmt.Errorf("%w: %s", err, oneLine(text))
	}
	for _, o := range report.Objects {
		switch {
		case o.Fingerprint == "":
		case f.cert == "":
			f.cert = o.Fingerprint
		default:
			f.issuers++
			continue // with a key of its own
		}
		if f.key != "" && f.key != o.Key.Fingerprint {
			return f, errors.New("the private key is not that of the certificate")
		}
		f.key = o.Key.Fingerprint
	}
	return f, nil
}

// publicKeySum returns the SHA-256 of a public key in DER (SPKI).
func publicKeySum(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	return sum(der), nil
}

// sum returns the SHA-256 of b in hex.
func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// oneLine returns text as one line that is not too long to print.
func oneLine(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	if len(line) > 300 {
		line = line[:300] + " …"
	}
	return line
}
