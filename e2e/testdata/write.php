<?php
// Writes credentials with PHP's openssl functions: a PKCS#12 file of a
// certificate, its issuer and its key, private keys, and a request.
//
// usage: PASSWORD=… php write.php FOLDER CERTIFICATE ISSUER KEY
[, $folder, $cert, $issuer, $key] = $argv;
$password = getenv('PASSWORD');
$done = openssl_pkcs12_export_to_file(
    file_get_contents($cert),
    "$folder/php.p12",
    openssl_pkey_get_private(file_get_contents($key)),
    $password,
    ['friendly_name' => 'Größe', 'extracerts' => [file_get_contents($issuer)]],
);
$fresh = openssl_pkey_new(['private_key_bits' => 2048, 'private_key_type' => OPENSSL_KEYTYPE_RSA]);
$done = $done && openssl_pkey_export_to_file($fresh, "$folder/php.pem");
$done = $done && openssl_pkey_export_to_file($fresh, "$folder/php-encrypted.pem", $password);
$request = openssl_csr_new(['commonName' => 'Größe', 'countryName' => 'DE'], $fresh, ['digest_alg' => 'sha256']);
$done = $done && openssl_csr_export_to_file($request, "$folder/php.csr");
exit($done ? 0 : 1);
