#!/bin/sh
# Makes the files of this folder and of ../keys anew. README.txt says what each is for.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
keys=../keys
mkdir -p "$keys"

ec() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$tmp/$1.key"; }
authority='basicConstraints=critical,CA:true
keyUsage=critical,keyCertSign
subjectKeyIdentifier=hash'
issue() { # name subject issuer extensions
	openssl req -new -key "$tmp/$1.key" -subj "$2" -out "$tmp/$1.csr"
	printf '%s\n' "$4" > "$tmp/$1.ext"
	openssl x509 -req -in "$tmp/$1.csr" -CA "$tmp/$3.pem" -CAkey "$tmp/$3.key" -days 36500 -extfile "$tmp/$1.ext" -out "$tmp/$1.pem" 2> "$tmp/log"
}
ec root
openssl req -new -x509 -key "$tmp/root.key" -subj '/CN=Test Root' -days 36500 -out "$tmp/root.pem"
ec middle
issue middle '/CN=Test Authority' root "$authority"
openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$tmp/push.key"
issue push '/CN=Apple Push Services: com.example.push' middle 'extendedKeyUsage=clientAuth
authorityKeyIdentifier=keyid'
ec second
issue second '/CN=Apple Push Services: com.example.second' middle 'extendedKeyUsage=clientAuth
authorityKeyIdentifier=keyid'
cat "$tmp/middle.pem" "$tmp/root.pem" > "$tmp/chain.pem"
for n in root middle push second; do openssl x509 -in "$tmp/$n.pem" -outform DER -out "$n.cer"; done

p12() { # file, options
	out=$1; shift
	openssl pkcs12 -export -passout pass:herald -inkey "$tmp/push.key" -in "$tmp/push.pem" -name 'Push för Änne' -out "$out" "$@"
}
sha1='-macalg sha1'
p12 key-only-3des.p12 -nocerts -keypbe PBE-SHA1-3DES $sha1
p12 key-only-aes256.p12 -nocerts
p12 identity-rc2-40.p12 -legacy
p12 identity-rc2-128.p12 -legacy -certpbe PBE-SHA1-RC2-128
p12 identity-3des.p12 -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES $sha1
p12 identity-3des-2.p12 -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-2DES $sha1
p12 identity-aes128.p12 -keypbe AES-128-CBC -certpbe AES-128-CBC
p12 identity-aes192.p12 -keypbe AES-192-CBC -certpbe AES-192-CBC
p12 identity-aes256.p12
p12 identity-pbes2-3des.p12 -keypbe DES-EDE3-CBC -certpbe DES-EDE3-CBC
for h in sha224 sha384 sha512; do p12 "identity-mac-$h.p12" -macalg $h; done
p12 identity-iterations.p12 -iter 20000
p12 identity-one-iteration.p12 -noiter -nomaciter
p12 identity-no-mac.p12 -nomac
p12 identity-plain.p12 -keypbe NONE -certpbe NONE
p12 identity-plain-no-mac.p12 -keypbe NONE -certpbe NONE -nomac
p12 chain.p12 -certfile "$tmp/chain.pem"
p12 certificates-only.p12 -nokeys -certfile "$tmp/chain.pem"
p12 camellia.p12 -keypbe CAMELLIA-256-CBC -certpbe CAMELLIA-256-CBC
p12 rc4.p12 -legacy -certpbe PBE-SHA1-RC4-128
p12 empty-password.p12 -passout pass: -legacy
p12 empty-password-aes256.p12 -passout pass:
p12 empty-password-no-mac.p12 -passout pass: -nomac -legacy
p12 umlaut-password.p12 -passout pass:pässwörd -legacy
p12 emoji-password.p12 -passout 'pass:🔑 key' -legacy
openssl pkcs12 -export -passout pass:herald -inkey "$tmp/second.key" -in "$tmp/second.pem" -name second -out "$tmp/second.p12"

# Several identities, and a secret that is none, as Java keeps them.
store() { keytool "$@" -J-Duser.language=en > "$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }; }
import() { # options, source, alias
	store -importkeystore $1 -srckeystore "$2" -srcstoretype PKCS12 -srcstorepass herald -destkeystore "$3" -deststoretype PKCS12 -deststorepass herald
}
rm -f two-java.p12 two-java-old.p12
import '' identity-aes256.p12 two-java.p12
import '' "$tmp/second.p12" two-java.p12
printf 'herald\nsecret\nsecret\n' | keytool -importpass -alias word -keystore two-java.p12 -storetype PKCS12 > "$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
old='-J-Dkeystore.pkcs12.macAlgorithm=HmacPBESHA1 -J-Dkeystore.pkcs12.macIterationCount=3000
-J-Dkeystore.pkcs12.certProtectionAlgorithm=PBEWithSHA1AndRC2_40 -J-Dkeystore.pkcs12.certPbeIterationCount=4000
-J-Dkeystore.pkcs12.keyProtectionAlgorithm=PBEWithSHA1AndDESede -J-Dkeystore.pkcs12.keyPbeIterationCount=5000'
import "$old" identity-aes256.p12 two-java-old.p12
import "$old" "$tmp/second.p12" two-java-old.p12
rm -f java-trust.p12
store -importcert -noprompt -alias root -file root.cer -keystore java-trust.p12 -storetype PKCS12 -storepass herald

# Python's cryptography, which writes other orders and other rounds.
python3 - "$tmp" <<'PY'
import sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization as s
from cryptography.hazmat.primitives.serialization import pkcs12
d = sys.argv[1]
load = lambda n: x509.load_pem_x509_certificate(open(f"{d}/{n}.pem", "rb").read())
key = s.load_pem_private_key(open(f"{d}/push.key", "rb").read(), None)
for name, pbe, mac in (("python-aes256", pkcs12.PBES.PBESv2SHA256AndAES256CBC, hashes.SHA256()),
                       ("python-3des", pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, hashes.SHA1())):
    enc = s.PrivateFormat.PKCS12.encryption_builder().kdf_rounds(4000).key_cert_algorithm(pbe).hmac_hash(mac).build(b"herald")
    open(name + ".p12", "wb").write(pkcs12.serialize_key_and_certificates(b"python", key, load("push"), [load("root"), load("middle")], enc))
PY

# Private keys as PEM. RSA where nothing else is said.
pkcs8() { out=$1; shift; openssl pkcs8 -topk8 -in "$tmp/push.key" -passout pass:herald -out "$keys/$out.pem" "$@"; }
pkcs8 pbes2-aes256
pkcs8 pbes2-aes128-sha1 -v2 aes-128-cbc -v2prf hmacWithSHA1
pkcs8 pbes2-aes192-sha512 -v2 aes-192-cbc -v2prf hmacWithSHA512
pkcs8 pbes2-aes256-sha224 -v2prf hmacWithSHA224
pkcs8 pbes2-aes256-sha384 -v2prf hmacWithSHA384
pkcs8 pbes2-3des -v2 des3
pkcs8 pbes2-scrypt -scrypt
pkcs8 pbes2-camellia -v2 camellia-128-cbc
pkcs8 pbe-sha1-3des -v1 PBE-SHA1-3DES
for a in PBE-SHA1-RC2-40 PBE-SHA1-RC2-128 PBE-MD5-DES PBE-SHA1-DES PBE-MD5-RC2-64 PBE-SHA1-RC2-64; do
	pkcs8 "$(echo $a | tr A-Z a-z)" -v1 $a -provider legacy -provider default
done
for c in aes128 aes192 aes256 des3 camellia128; do
	openssl rsa -traditional -in "$tmp/push.key" -passout pass:herald -$c -out "$keys/traditional-$c.pem" 2> "$tmp/log"
done
openssl rsa -traditional -in "$tmp/push.key" -passout pass:herald -des -out "$keys/traditional-des.pem" -provider legacy -provider default 2> "$tmp/log"
openssl ec -in "$tmp/second.key" -passout pass:herald -aes256 -out "$keys/traditional-ec-aes256.pem" 2> "$tmp/log"
openssl pkcs8 -topk8 -in "$tmp/second.key" -passout pass:herald -out "$keys/pbes2-ec.pem"
openssl pkcs8 -topk8 -in "$tmp/push.key" -passout pass: -v1 PBE-SHA1-3DES -out "$keys/empty-password.pem"
chmod 644 ./*.p12 "$keys"/*.pem
