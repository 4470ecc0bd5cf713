import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.RSAPublicKeySpec;
import java.util.Collections;
import java.util.HexFormat;

/**
 * Reads credentials with the JDK's own classes, as programs do that send from it. Each line of
 * standard input is a job: reader, file and password, with tabs between. For each, a line goes to
 * standard output: "ok", the SHA-256 of the certificate (DER) and of the public key (SPKI), each
 * empty where the reader gets none, and how many issuers came along; or "no" and why.
 */
public final class Read {
    public static void main(String[] args) throws Exception {
        var jobs = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = jobs.readLine()) != null; ) {
            String[] job = line.split("\t", -1);
            try {
                byte[] data = Files.readAllBytes(Path.of(job[1]));
                System.out.println("ok\t" + switch (job[0]) {
                    case "keystore" -> keystore(data, job[2].toCharArray());
                    case "certificate" -> certificate(data);
                    default -> throw new IllegalArgumentException("no such reader: " + job[0]);
                });
            } catch (Exception e) {
                var why = new StringBuilder();
                for (Throwable t = e; t != null; t = t.getCause()) {
                    why.append(t).append("; ");
                }
                System.out.println("no\t" + why.toString().replaceAll("\\s+", " "));
            }
        }
    }

    static String keystore(byte[] data, char[] password) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new ByteArrayInputStream(data), password);
        for (String alias : Collections.list(store.aliases())) {
            if (!store.isKeyEntry(alias)) {
                continue;
            }
            PrivateKey key = (PrivateKey) store.getKey(alias, password);
            Certificate[] chain = store.getCertificateChain(alias);
            if (chain == null || chain.length == 0) {
                return "\t" + sha256(publicKey((RSAPrivateCrtKey) key).getEncoded()) + "\t0";
            }
            String algorithm = key.getAlgorithm().equals("EC") ? "SHA256withECDSA" : "SHA256withRSA";
            Signature signer = Signature.getInstance(algorithm);
            signer.initSign(key);
            signer.update(data);
            byte[] signature = signer.sign();
            signer.initVerify(chain[0]);
            signer.update(data);
            if (!signer.verify(signature)) {
                throw new Exception("the private key is not that of the certificate");
            }
            return sha256(chain[0].getEncoded()) + "\t" + sha256(chain[0].getPublicKey().getEncoded()) + "\t" + (chain.length - 1);
        }
        throw new Exception("no private key among " + store.size() + " entries");
    }

    static String certificate(byte[] data) throws Exception {
        Certificate cert = CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(data));
        return sha256(cert.getEncoded()) + "\t" + sha256(cert.getPublicKey().getEncoded()) + "\t0";
    }

    static PublicKey publicKey(RSAPrivateCrtKey key) throws Exception {
        return KeyFactory.getInstance("RSA").generatePublic(new RSAPublicKeySpec(key.getModulus(), key.getPublicExponent()));
    }

    static String sha256(byte[] der) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(der));
    }
}
