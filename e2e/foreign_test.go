package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// foreign is a file that another program wrote.
type foreign struct {
	file     string
	password string
	want     found
	into     string // the format that herald converts it to: ck, key, p8, certificate or request
	problem  string // the code of what is to be said of it; empty if nothing
}

// TestForeign has herald read and convert what other programs write.
func TestForeign(t *testing.T) {
	t.Parallel()
	skipRace(t)
	needTool(t, "openssl", "writes credentials", "openssl")
	b := newBench(t)
	for _, by := range []struct {
		program string
		write   func(*bench, *testing.T) []foreign
	}{
		{"openssl", (*bench).writeOpenSSL},
		{"keytool", (*bench).writeKeytool},
		{"PHP", (*bench).writePHP},
		{"Node", (*bench).writeNode},
	} {
		t.Run(by.program, func(t *testing.T) {
			files := by.write(b, t)
			t.Parallel()
			for _, f := range files {
				t.Run(f.file, func(t *testing.T) {
					b.inspects(t, f)
					b.converts(t, f)
				})
			}
		})
	}
}

// inspects has herald look at a file.
func (b *bench) inspects(t *testing.T, f foreign) {
	t.Helper()
	commands := [][]string{{"cert", "inspect"}}
	if f.into == "p8" {
		commands = append(commands, []string{"key", "inspect"})
	}
	for _, command := range commands {
		o := b.with(f.password, append(command, "--json", f.file)...).run(t)
		if ok := o.status == 0; ok != (f.problem == "") || !strings.Contains(o.stderr, f.problem) {
			t.Errorf("herald %s: exit status %d: %s", strings.Join(command, " "), o.status, oneLine(o.stderr))
			continue
		}
		got, err := readReport(o.stdout)
		if err != nil {
			t.Errorf("herald %s: %v", strings.Join(command, " "), err)
		}
		if got != f.want {
			t.Errorf("herald %s: got %+v, want %+v", strings.Join(command, " "), got, f.want)
		}
	}
}

// converts has herald write the file anew in the clear, and looks at that with
// another reader.
func (b *bench) converts(t *testing.T, f foreign) {
	t.Helper()
	form := map[string]struct {
		name   string
		reader reader
	}{
		"ck":          {"ck.pem", reader{of: "Go", cert: true, key: true, issuers: true, read: library(readKeyPair)}},
		"key":         {"key.pem", reader{of: "openssl", key: true, read: openssl("pkey")}},
		"p8":          {"AuthKey_ABC123DEFG.p8", reader{of: "openssl", key: true, read: openssl("pkey")}},
		"certificate": {"certificate.pem", reader{of: "openssl", cert: true, key: true, read: openssl("x509")}},
		"request":     {"request.csr", reader{of: "openssl", key: true, read: openssl("req", "-pubkey", "-verify", "-noout")}},
	}[f.into]
	out := filepath.Join(t.TempDir(), form.name)
	if o := b.with(f.password, "cert", "convert", f.file, out).run(t); o.status != 0 {
		t.Errorf("herald cert convert: exit status %d: %s", o.status, oneLine(o.stderr))
		return
	}
	got := form.reader.read(t, []reading{{path: out}})[0]
	if got.err != nil {
		t.Errorf("%s cannot read what herald made of it: %v", form.reader.of, got.err)
	} else if want := f.want.seenBy(form.reader); got.found != want {
		t.Errorf("%s finds %+v in what herald made of it, want %+v", form.reader.of, got.found, want)
	}
}

// bench is a desk with a key that openssl made, a certificate for it, and the
// issuer's.
type bench struct {
	*desk
	whole found // what the key and the certificate are
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{desk: newDesk(t)}
	b.openssl(t, "req", "-new", "-newkey", "rsa:2048", "-noenc", "-sha256", "-subj", "/emailAddress=push@example.com/CN=Push",
		"-keyout", "openssl-pkcs8.pem", "-out", "Push.certSigningRequest")
	cert := certificate(t, read(t, b.issue(t, "com.example.push", "universal", "openssl.cer")))
	b.file(t, "push.pem", string(toPEM(cert)))
	b.file(t, "issuer.pem", string(toPEM(b.authority(t)["providers"])))
	var err error
	if b.whole, err = holds(nil, cert); err != nil {
		t.Fatal(err)
	}
	return b
}

// openssl runs openssl on the bench.
func (b *bench) openssl(t *testing.T, args ...string) {
	t.Helper()
	b.other(t, append([]string{"openssl"}, args...)...)
}

// other runs a program on the bench, which finds the password in PASSWORD.
func (b *bench) other(t *testing.T, args ...string) outcome {
	t.Helper()
	return program{args: args, dir: b.dir, env: []string{"PASSWORD=" + b.random}}.mustRun(t)
}

// key returns what openssl finds in a private key of the bench.
func (b *bench) key(t *testing.T, file string) found {
	t.Helper()
	r := openssl("pkey")(t, []reading{{b.path(file), b.random}})[0]
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.found
}

func (b *bench) writeOpenSSL(t *testing.T) (files []foreign) {
	t.Helper()
	chained, keyOnly := b.whole, found{key: b.whole.key}
	chained.issuers = 1

	// PKCS#12.
	for _, f := range []struct {
		file    string
		want    found
		into    string
		args    []string
		problem string
	}{
		{"openssl-default.p12", b.whole, "ck", nil, ""},
		{"openssl-chain.p12", chained, "ck", []string{"-certfile", "issuer.pem", "-name", "Größe", "-caname", "日本"}, ""},
		{"openssl-legacy.p12", b.whole, "ck", []string{"-legacy"}, ""},
		{"openssl-descert.p12", b.whole, "ck", []string{"-legacy", "-descert"}, ""},
		{"openssl-aes128.p12", b.whole, "ck", []string{"-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"}, ""},
		{"openssl-aes192-sha512.p12", b.whole, "ck", []string{"-keypbe", "AES-192-CBC", "-certpbe", "AES-192-CBC", "-macalg", "sha512"}, ""},
		{"openssl-rc2-128.p12", b.whole, "ck", []string{"-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-2DES"}, ""},
		{"openssl-open-certificate.p12", b.whole, "ck", []string{"-certpbe", "NONE"}, ""},
		{"openssl-open.p12", b.whole, "ck", []string{"-certpbe", "NONE", "-keypbe", "NONE"}, ""},
		{"openssl-iter1.p12", b.whole, "ck", []string{"-iter", "1", "-nomaciter"}, ""},
		{"openssl-nomac.p12", b.whole, "ck", []string{"-nomac"}, ""},
		{"openssl-nocerts.p12", keyOnly, "key", []string{"-nocerts"}, ""},
		{"openssl-nokeys.p12", b.whole, "certificate", []string{"-nokeys"}, "E-NO-KEY"},
	} {
		b.openssl(t, append([]string{
			"pkcs12", "-export", "-in", "push.pem", "-inkey", "openssl-pkcs8.pem",
			"-passout", "env:PASSWORD", "-out", f.file,
		}, f.args...)...)
		files = append(files, foreign{file: f.file, password: b.random, want: f.want, into: f.into, problem: f.problem})
	}

	// Private keys.
	for file, args := range map[string][]string{
		"openssl-pkcs1.pem":           {"rsa", "-traditional"},
		"openssl-pkcs1.der":           {"rsa", "-traditional", "-outform", "DER"},
		"openssl-pkcs1-encrypted.pem": {"rsa", "-traditional", "-aes256", "-passout", "env:PASSWORD"},
		"openssl-pkcs1-des3.pem":      {"rsa", "-traditional", "-des3", "-passout", "env:PASSWORD"},
		"openssl-pkcs8.der":           {"pkey", "-outform", "DER"},
		"openssl-pbes2.pem":           {"pkcs8", "-topk8", "-passout", "env:PASSWORD"},
		"openssl-pbes2.der":           {"pkcs8", "-topk8", "-passout", "env:PASSWORD", "-outform", "DER"},
		"openssl-pbes2-sha1-des3.pem": {"pkcs8", "-topk8", "-passout", "env:PASSWORD", "-v2", "des3", "-v2prf", "hmacWithSHA1"},
		"openssl-pbes2-sha512.pem":    {"pkcs8", "-topk8", "-passout", "env:PASSWORD", "-v2", "aes128", "-v2prf", "hmacWithSHA512"},
		"openssl-pbe-sha1-3des.pem":   {"pkcs8", "-topk8", "-passout", "env:PASSWORD", "-v1", "PBE-SHA1-3DES"},
		"openssl-pbe-md5-des.pem":     {"pkcs8", "-topk8", "-passout", "env:PASSWORD", "-v1", "PBE-MD5-DES", "-provider", "legacy", "-provider", "default"},
		"openssl-scrypt.pem":          {"pkcs8", "-topk8", "-passout", "env:PASSWORD", "-scrypt"},
		"openssl-text.pem":            {"pkey", "-text"},
	} {
		b.openssl(t, append(args, "-in", "openssl-pkcs8.pem", "-out", file)...)
		files = append(files, foreign{file: file, password: b.random, want: keyOnly, into: "key"})
	}
	files = append(files, foreign{file: "openssl-pkcs8.pem", want: keyOnly, into: "key"})

	// Provider keys.
	b.openssl(t, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "openssl-ec.p8")
	b.openssl(t, "ecparam", "-name", "prime256v1", "-genkey", "-out", "openssl-ecparam.pem")
	for _, file := range []string{"openssl-ec.p8", "openssl-ecparam.pem"} {
		files = append(files, foreign{file: file, want: b.key(t, file), into: "p8"})
	}

	// Certificates and requests.
	b.openssl(t, "x509", "-in", "openssl.cer", "-text", "-out", "openssl-text.crt")
	b.openssl(t, "x509", "-in", "openssl.cer", "-trustout", "-out", "openssl-trusted.pem")
	b.openssl(t, "req", "-in", "Push.certSigningRequest", "-outform", "DER", "-out", "openssl-request.der")
	b.openssl(t, "req", "-in", "Push.certSigningRequest", "-text", "-out", "openssl-text.csr")
	return append(
		files,
		foreign{file: "push.pem", want: b.whole, into: "certificate"},
		foreign{file: "openssl-text.crt", want: b.whole, into: "certificate"},
		foreign{file: "openssl-trusted.pem", want: b.whole, into: "certificate"},
		foreign{file: "Push.certSigningRequest", want: keyOnly, into: "request"},
		foreign{file: "openssl-request.der", want: keyOnly, into: "request"},
		foreign{file: "openssl-text.csr", want: keyOnly, into: "request"},
	)
}

// writeKeytool has keytool look at a .p12 of herald, store it anew, and make a
// key of its own with a request. A run of it takes a second: there are few.
func (b *bench) writeKeytool(t *testing.T) []foreign {
	t.Helper()
	needJava(t)
	chained := b.whole
	chained.issuers = 1
	b.run(t, "cert", "assemble", "--cert", "openssl.cer", "--key", "openssl-pkcs8.pem", "--chain", "issuer.pem", "--p12", "herald.p12")
	keytool := func(args ...string) outcome {
		t.Helper()
		return b.other(t, append([]string{"keytool", "-J-XX:TieredStopAtLevel=1"}, args...)...)
	}
	listed := keytool("-list", "-v", "-keystore", "herald.p12", "-storepass:env", "PASSWORD").stdout
	for _, want := range []string{"Entry type: PrivateKeyEntry", "Certificate chain length: 2", "Owner: C=US"} {
		if !strings.Contains(listed, want) {
			t.Errorf("keytool does not find %q in herald.p12:\n%s", want, listed)
		}
	}
	stores := []string{
		"-importkeystore", "-srckeystore", "herald.p12", "-srcstoretype", "PKCS12", "-srcstorepass:env", "PASSWORD",
		"-deststoretype", "PKCS12", "-deststorepass:env", "PASSWORD", "-destkeystore",
	}
	keytool(append(stores, "keytool.p12")...)
	keytool(append(stores, "keytool-legacy.p12", "-J-Dkeystore.pkcs12.legacy")...)
	keytool("-genkeypair", "-keystore", "keytool-own.p12", "-storetype", "PKCS12", "-storepass:env", "PASSWORD",
		"-alias", "own", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=Push, C=US")
	keytool("-certreq", "-keystore", "keytool-own.p12", "-storepass:env", "PASSWORD", "-alias", "own", "-file", "keytool.csr")

	own := openssl("pkcs12", "-noenc")(t, []reading{{b.path("keytool-own.p12"), b.random}})[0]
	if own.err != nil {
		t.Fatal(own.err)
	}
	return []foreign{
		{file: "keytool.p12", password: b.random, want: chained, into: "ck"},
		{file: "keytool-legacy.p12", password: b.random, want: chained, into: "ck"},
		{file: "keytool-own.p12", password: b.random, want: own.found, into: "certificate"},
		{file: "keytool.csr", want: found{key: own.key}, into: "request"},
	}
}

func (b *bench) writePHP(t *testing.T) []foreign {
	t.Helper()
	needTool(t, "php", "writes credentials as programs in PHP do", "php-cli")
	b.other(t, "php", abs(t, "testdata/write.php"), b.dir, "push.pem", "issuer.pem", "openssl-pkcs8.pem")
	chained, own := b.whole, b.key(t, "php.pem")
	chained.issuers = 1
	return []foreign{
		{file: "php.p12", password: b.random, want: chained, into: "ck"},
		{file: "php.pem", want: own, into: "key"},
		{file: "php-encrypted.pem", password: b.random, want: own, into: "key"},
		{file: "php.csr", want: own, into: "request"},
	}
}

func (b *bench) writeNode(t *testing.T) (files []foreign) {
	t.Helper()
	needTool(t, "node", "writes private keys as programs in Node do", "nodejs")
	b.other(t, "node", abs(t, "testdata/write.js"), b.dir)
	rsa, ec := b.key(t, "node-rsa-pkcs8.pem"), b.key(t, "node-ec-pkcs8.p8")
	for _, file := range []string{
		"node-rsa-pkcs8.pem", "node-rsa-pkcs8.der", "node-rsa-pkcs1.pem",
		"node-rsa-pkcs8-encrypted.pem", "node-rsa-pkcs8-encrypted.der", "node-rsa-pkcs1-encrypted.pem",
	} {
		files = append(files, foreign{file: file, password: b.random, want: rsa, into: "key"})
	}
	return append(files, foreign{file: "node-ec-pkcs8.p8", want: ec, into: "p8"}, foreign{file: "node-ec-sec1.pem", want: ec, into: "p8"})
}
