package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// matrix says which reader reads which kind of file. A column is a reader, in
// the order of readers(). A cell is "ok"; "-" where the file is not of the
// reader's format; or a letter of refusals, where it might be thought to be.
// What is not "ok" must be refused: a reader that has learnt is news, too.
const matrix = `
ok ok N  ok -  -  N  -  -  -  ok -  ok -  -  -  S  N  -  -  ok key alone .p12, modern
ok ok N  ok -  -  N  -  -  -  ok -  ok -  -  -  N  N  -  -  ok key alone .p12, compat
ok ok N  ok -  -  N  -  -  -  ok -  ok -  -  -  N  N  -  -  ok key alone .p12, legacy
ok ok ok ok -  -  ok -  -  -  ok -  ok -  -  -  S  ok -  -  ok identity .p12, modern
ok ok ok ok -  -  ok -  -  -  ok -  ok -  -  -  ok ok -  -  ok identity .p12, compat
L  ok L  L  -  -  L  -  -  -  ok -  L  -  -  -  ok ok -  -  ok identity .p12, legacy
ok ok ok ok -  -  ok -  -  -  ok -  ok -  -  -  S  ok -  -  ok identity with chain .p12, modern
ok ok ok ok -  -  ok -  -  -  ok -  ok -  -  -  C  ok -  -  ok identity with chain .p12, compat
L  ok L  L  -  -  L  -  -  -  ok -  L  -  -  -  C  ok -  -  ok identity with chain .p12, legacy
ok ok ok ok -  -  ok -  -  -  A  -  ok -  -  -  S  ok -  -  ok identity .p12, modern, password not ASCII
ok ok ok ok -  -  ok -  -  -  A  -  ok -  -  -  ok ok -  -  ok identity .p12, compat, password not ASCII
L  ok L  L  -  -  L  -  -  -  A  -  L  -  -  -  ok ok -  -  ok identity .p12, legacy, password not ASCII
ok ok ok ok -  -  ok -  -  -  ok -  ok -  -  -  S  ok -  -  ok ck.pem with chain, converted to .p12
ok ok ok ok -  -  ok -  -  -  ok -  ok -  -  -  S  ok -  -  ok legacy .p12, given another password
-  -  ok -  -  -  -  -  ok -  -  ok -  P  -  -  -  -  -  ok ok certificate .cer
-  -  ok -  -  -  -  -  ok -  -  ok -  ok -  -  -  -  -  -  ok certificate .pem
-  -  ok -  -  -  -  -  ok -  -  ok -  ok -  -  -  -  -  -  ok certificate .pem with chain
-  -  ok -  -  -  -  -  ok -  -  ok -  P  -  -  -  -  -  ok ok certificate .pem, converted to .cer
-  -  ok ok -  -  -  ok ok ok -  ok -  ok ok -  -  -  ok -  ok ck.pem
-  -  ok ok -  -  -  ok ok ok -  ok -  ok ok -  -  -  ok -  ok ck.pem with chain
-  -  -  ok -  -  -  -  -  ok -  -  -  -  ok -  -  -  -  -  ok private key .pem
-  -  -  ok -  -  -  -  -  ok -  -  -  -  ok -  -  -  -  -  ok private key .pem, encrypted
-  -  -  ok -  -  -  -  -  ok -  -  -  -  ok -  -  -  -  -  ok provider key .p8
-  -  -  ok -  -  -  -  -  ok -  -  -  -  ok -  -  -  -  -  ok provider key .p8 of the portal
-  -  -  -  ok -  -  -  -  -  -  -  -  -  -  ok -  -  -  -  ok request .certSigningRequest
-  -  -  -  P  ok -  -  -  -  -  -  -  -  -  P  -  -  -  -  ok request, converted to DER
-  -  ok -  -  -  -  -  ok -  -  ok -  ok -  -  -  -  -  -  ok device certificate .pem
`

// refusals says why a reader refuses a file that it might be thought to read.
var refusals = map[string]string{
	"A": "the JDK takes passwords of ASCII alone",
	"C": "x/crypto/pkcs12 takes one certificate, and no chain",
	"L": "RC2 is in OpenSSL 3's legacy provider, which is not loaded unless asked for",
	"N": "there is no certificate in it, which this reader insists on",
	"P": "this reader takes PEM alone",
	"S": "x/crypto/pkcs12 is frozen, and knows neither HMAC-SHA-256 nor AES",
}

// TestMatrix has real programs read each kind of file that herald writes, and
// compares what they found with what was put in.
func TestMatrix(t *testing.T) {
	t.Parallel()
	skipRace(t)
	kinds := writeAll(t)
	readers := readers()
	want := parseMatrix(t, len(readers))

	var files []reading
	for _, k := range kinds {
		files = append(files, k.reading)
	}
	results := make([][]result, len(readers)) // by reader and file
	t.Run("read", func(t *testing.T) {
		for i, r := range readers {
			t.Run(r.String(), func(t *testing.T) {
				t.Parallel()
				r.need(t)
				results[i] = r.read(t, files)
			})
		}
	})
	if t.Failed() {
		t.FailNow()
	}

	cells := make([][]string, len(kinds))
	for row, k := range kinds {
		if len(want) <= row || want[row].kind != k.name {
			t.Errorf("row %d of the matrix is not %q", row+1, k.name)
		}
		for column, r := range readers {
			if results[column] == nil { // the program is missing
				cells[row] = append(cells[row], "")
				continue
			}
			got, cell := results[column][row], ""
			if len(want) > row {
				cell = want[row].cells[column]
			}
			expected := k.want.seenBy(r)
			switch {
			case got.err == nil && got.found != expected:
				t.Errorf("%s: %s: got %+v, want %+v", r, k.name, got.found, expected)
				cell = "WRONG"
			case got.err == nil && cell != "ok":
				t.Errorf("%s reads %s, want that it does not: %q %s", r, k.name, cell, refusals[cell])
				cell = "ok"
			case got.err != nil && cell == "ok":
				t.Errorf("%s does not read %s: %v", r, k.name, got.err)
				cell = "NO"
			case got.err != nil && cell != "-" && refusals[cell] == "":
				t.Errorf("%s does not read %s, for a reason that is not known (%q): %v", r, k.name, cell, got.err)
			}
			cells[row] = append(cells[row], cell)
		}
	}
	t.Log("\n" + table(readers, kinds, cells))
}

// seenBy returns what of f a reader gets at.
func (f found) seenBy(r reader) found {
	if !r.cert {
		f.cert = ""
	}
	if !r.key {
		f.key = ""
	}
	if !r.issuers {
		f.issuers = 0
	}
	return f
}

// row is one of the matrix.
type row struct {
	kind  string
	cells []string
}

// parseMatrix reads the matrix: cells first, then the kind.
func parseMatrix(t *testing.T, columns int) (rows []row) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(matrix)) {
		f := strings.Fields(line)
		if len(f) <= columns {
			t.Errorf("matrix: %q has not %d cells and a kind", line, columns)
			continue
		}
		rows = append(rows, row{strings.Join(f[columns:], " "), f[:columns]})
	}
	return rows
}

// table draws the matrix as it turned out.
func table(readers []reader, kinds []kind, cells [][]string) string {
	var b strings.Builder
	for i, r := range readers {
		fmt.Fprintf(&b, "%2d %s\n", i+1, r)
	}
	b.WriteString("\n")
	for i := range readers {
		fmt.Fprintf(&b, "%-3d", i+1)
	}
	b.WriteString("\n")
	for i, k := range kinds {
		for _, c := range cells[i] {
			fmt.Fprintf(&b, "%-3s", c)
		}
		fmt.Fprintf(&b, "%s\n", k.name)
	}
	b.WriteString("\nok read, and the right thing found\n-  refused: not of this reader's format\n")
	for _, letter := range slices.Sorted(maps.Keys(refusals)) {
		fmt.Fprintf(&b, "%-3s%s\n", letter, refusals[letter])
	}
	return b.String()
}

// kind is a kind of file that herald writes.
type kind struct {
	name string
	reading
	want found // what was put in
}

// writeAll has herald write a file of each kind.
func writeAll(t *testing.T) (kinds []kind) {
	t.Helper()
	d := newDesk(t)
	add := func(name, file, password string, want found) {
		t.Helper()
		kinds = append(kinds, kind{name, reading{d.path(file), password}, want})
	}
	styles := []string{"modern", "compat", "legacy"}

	keyOnly := []string{"Push.p12", "compat.p12", "legacy.p12"}
	d.run(t, "cert", "request", "--compat", "--key-out", keyOnly[1], "--out", "compat.csr")
	d.run(t, "cert", "request", "--legacy", "--key-out", keyOnly[2], "--out", "legacy.csr")
	for i, request := range []string{"Push.certSigningRequest", "compat.csr", "legacy.csr"} {
		add("key alone .p12, "+styles[i], keyOnly[i], d.random, d.requested(t, request))
	}

	// The identity, by a chain and without one.
	cert := certificate(t, read(t, d.issue(t, "com.example.push", "universal", "push.cer")))
	whole, err := holds(nil, cert)
	if err != nil {
		t.Fatal(err)
	}
	chained := whole
	chained.issuers = 1 // the root is left out: whoever trusts it has it
	authority := d.authority(t)
	d.file(t, "chain.pem", string(slices.Concat(toPEM(authority["providers"]), toPEM(authority["root"]))))
	assemble := func(args ...string) {
		t.Helper()
		d.run(t, append([]string{"cert", "assemble", "--cert", "push.cer", "--key", "Push.p12"}, args...)...)
	}
	for _, style := range styles {
		assemble("--"+style, "--p12", "push-"+style+".p12")
		add("identity .p12, "+style, "push-"+style+".p12", d.random, whole)
	}
	for _, style := range styles {
		assemble("--"+style, "--p12", "chain-"+style+".p12", "--chain", "chain.pem")
		add("identity with chain .p12, "+style, "chain-"+style+".p12", d.random, chained)
	}
	const umlauts = "Größe 日本 €"
	d.file(t, "umlauts", umlauts+"\n")
	for _, style := range styles {
		assemble("--"+style, "--p12", "umlauts-"+style+".p12", "--new-password-file", "umlauts")
		add("identity .p12, "+style+", password not ASCII", "umlauts-"+style+".p12", umlauts, whole)
	}
	assemble("--ck", "ck.pem", "--pem", "push.pem")
	assemble("--ck", "ck-chain.pem", "--pem", "push-chain.pem", "--chain", "chain.pem")
	d.run(t, "cert", "convert", "ck-chain.pem", "converted.p12")
	add("ck.pem with chain, converted to .p12", "converted.p12", d.random, chained)
	d.file(t, "other", "another password\n")
	d.run(t, "cert", "passwd", "push-legacy.p12", "--out", "passwd.p12", "--new-password-file", "other")
	add("legacy .p12, given another password", "passwd.p12", "another password", whole)

	add("certificate .cer", "push.cer", "", whole)
	add("certificate .pem", "push.pem", "", whole)
	add("certificate .pem with chain", "push-chain.pem", "", chained)
	d.run(t, "cert", "convert", "push-chain.pem", "converted.cer")
	add("certificate .pem, converted to .cer", "converted.cer", "", whole)
	add("ck.pem", "ck.pem", "", whole)
	add("ck.pem with chain", "ck-chain.pem", "", chained)

	d.run(t, "cert", "request", "--key-out", "key.pem", "--out", "key.csr")
	add("private key .pem", "key.pem", "", d.requested(t, "key.csr"))
	d.run(t, "cert", "passwd", "key.pem", "--out", "encrypted.pem", "--new-password-file", "other")
	add("private key .pem, encrypted", "encrypted.pem", "another password", d.requested(t, "key.csr"))
	d.run(t, "key", "new", "--key-id", "ABC123DEFG", "--out", "AuthKey_ABC123DEFG.p8")
	add("provider key .p8", "AuthKey_ABC123DEFG.p8", "", d.signing(t, "AuthKey_ABC123DEFG.p8"))
	d.run(t, "portal", "key", "new", "--dir", d.portal, "--out", "portal.p8")
	add("provider key .p8 of the portal", "portal.p8", "", d.signing(t, "portal.p8"))
	add("request .certSigningRequest", "Push.certSigningRequest", "", found{key: whole.key})
	d.run(t, "cert", "convert", "Push.certSigningRequest", "request.der", "--to", "der")
	add("request, converted to DER", "request.der", "", found{key: whole.key})

	device := certificate(t, read(t, d.device(t)))
	enrolled, err := holds(nil, device)
	if err != nil {
		t.Fatal(err)
	}
	enrolled.issuers = 1
	add("device certificate .pem", "device.pem", "", enrolled)
	return kinds
}

// requested returns what a key has of which a request of the desk is known.
func (d *desk) requested(t *testing.T, request string) found {
	t.Helper()
	block, _ := pem.Decode([]byte(read(t, d.path(request))))
	if block == nil {
		t.Fatalf("%s is not PEM", request)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := publicKeySum(csr.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return found{key: spki}
}

// signing returns what a .p8 of the desk has.
func (d *desk) signing(t *testing.T, p8 string) found {
	t.Helper()
	f, err := readPEM(read(t, d.path(p8)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// certificate reads the first certificate of a file, PEM or DER.
func certificate(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	der := []byte(text)
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// toPEM returns a certificate as text.
func toPEM(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}
