import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Sends one notification with the JDK's own java.net.http, by a PKCS#12 file, and prints version,
 * status, apns-id and body. The file's password is in P12_PASSWORD.
 *
 * <p>usage: java Push URL CA P12 TOPIC APNS_ID PAYLOAD
 */
public final class Push {
    public static void main(String[] args) throws Exception {
        String url = args[0], topic = args[3], id = args[4], payload = args[5];
        Path authority = Path.of(args[1]), p12 = Path.of(args[2]);
        char[] password = System.getenv("P12_PASSWORD").toCharArray();

        KeyStore identity = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(p12)) {
            identity.load(in, password);
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(identity, password);

        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream in = Files.newInputStream(authority)) {
            trusted.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);

        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        HttpClient sender = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_2)
            .sslContext(tls)
            .connectTimeout(Duration.ofSeconds(20))
            .build();
        HttpResponse<String> answer = sender.send(
            HttpRequest.newBuilder(URI.create(url))
                .timeout(Duration.ofSeconds(20))
                .header("apns-topic", topic)
                .header("apns-id", id)
                .header("apns-push-type", "alert")
                .header("apns-priority", "10")
                .POST(HttpRequest.BodyPublishers.ofString(payload))
                .build(),
            HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.version() + " " + answer.statusCode() + " "
            + answer.headers().firstValue("apns-id").orElse("") + " " + answer.body());
    }
}
