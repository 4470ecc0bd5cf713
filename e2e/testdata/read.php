<?php
// Reads credentials with PHP's openssl functions, as programs do that send from
// it. Each line of standard input is a job: reader, file and password, with
// tabs between. For each, a line goes to standard output: "ok", the SHA-256 of
// the certificate (DER) and of the public key (SPKI), each empty where the
// reader gets none, and how many issuers came along; or "no" and why.

// der returns what is between the lines of a PEM block.
function der(string $pem): string
{
    return base64_decode(preg_replace('/-----[^-]*-----/', '', $pem));
}

function certificate(OpenSSLCertificate|false $cert): string
{
    if ($cert === false || !openssl_x509_export($cert, $pem)) {
        return '';
    }
    return hash('sha256', der($pem));
}

function public_key(OpenSSLAsymmetricKey|false $key): string
{
    return $key === false ? '' : hash('sha256', der(openssl_pkey_get_details($key)['key']));
}

$readers = [
    'pkcs12' => function (string $data, string $password): ?array {
        if (!openssl_pkcs12_read($data, $found, $password)) {
            return null;
        }
        return [
            isset($found['cert']) ? certificate(openssl_x509_read($found['cert'])) : '',
            isset($found['pkey']) ? public_key(openssl_pkey_get_private($found['pkey'])) : '',
            count($found['extracerts'] ?? []),
        ];
    },
    'certificate' => function (string $data): ?array {
        $cert = openssl_x509_read($data);
        return $cert === false ? null : [certificate($cert), public_key(openssl_pkey_get_public($cert)), 0];
    },
    'key' => function (string $data, string $password): ?array {
        $key = openssl_pkey_get_private($data, $password);
        return $key === false ? null : ['', public_key($key), 0];
    },
    'request' => function (string $data): ?array {
        $key = openssl_csr_get_public_key($data);
        return $key === false ? null : ['', public_key($key), 0];
    },
];

error_reporting(E_ALL & ~E_WARNING); // of what cannot be read, which is said below
while (($line = fgets(STDIN)) !== false) {
    [$reader, $file, $password] = explode("\t", rtrim($line, "\n"));
    while (openssl_error_string() !== false);
    $found = $readers[$reader](file_get_contents($file), $password);
    if ($found === null) {
        $why = [];
        while (($e = openssl_error_string()) !== false) {
            $why[] = $e;
        }
        $found = [implode('; ', $why)];
        echo 'no';
    } else {
        echo 'ok';
    }
    echo "\t", implode("\t", $found), "\n";
}
