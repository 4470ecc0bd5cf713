<?php
// Sends one notification with PHP's own curl, by certificate, the way PHP
// programs do since the binary interface is gone. Prints status and body.
//
// usage: php push.php DEV_JSON APNS_ID PAYLOAD
[, $file, $id, $payload] = $argv;
$dev = json_decode(file_get_contents($file), true, 2, JSON_THROW_ON_ERROR);

$push = curl_init("https://{$dev['gateway.sandbox']}/3/device/{$dev['device_token']}");
curl_setopt_array($push, [
    CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_2_0,
    CURLOPT_CAINFO => $dev['ca'],
    CURLOPT_SSLCERT => $dev['certificate.pem'],
    CURLOPT_POSTFIELDS => $payload,
    CURLOPT_HTTPHEADER => ["apns-topic: {$dev['topic']}", "apns-id: $id", 'apns-push-type: alert'],
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_TIMEOUT => 20,
]);
$body = curl_exec($push);
if ($body === false) {
    fwrite(STDERR, curl_error($push) . "\n");
    exit(1);
}
echo json_encode(['status' => curl_getinfo($push, CURLINFO_RESPONSE_CODE), 'body' => $body]), "\n";
