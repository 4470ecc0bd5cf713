<?php
// Sends as the tutorials of 2010 did: a socket with the certificate and key of
// ck.pem, bytes made by pack, and a look at whether an error comes back. Prints
// a line of JSON for each step.
//
// usage: php ck.php DEV_JSON CK_PEM PASSPHRASE PAYLOAD GONE
// where GONE is a device token whose app is gone.
[, $file, $ck, $passphrase, $payload, $gone] = $argv;
$dev = json_decode(file_get_contents($file), true, 2, JSON_THROW_ON_ERROR);
$deviceToken = $dev['device_token'];

function connect(string $address): mixed
{
    global $ck, $passphrase, $dev;
    $ctx = stream_context_create();
    stream_context_set_option($ctx, 'ssl', 'local_cert', $ck);
    stream_context_set_option($ctx, 'ssl', 'passphrase', $passphrase);
    stream_context_set_option($ctx, 'ssl', 'cafile', $dev['ca']);
    $fp = stream_socket_client("ssl://$address", $err, $errstr, 20, STREAM_CLIENT_CONNECT, $ctx);
    if (!$fp) {
        exit("Failed to connect: $err $errstr" . PHP_EOL);
    }
    stream_set_timeout($fp, 20);
    return $fp;
}

// Simple, as the best known of those tutorials had it: write, and close.
$fp = connect($dev['legacy.sandbox']);
$msg = chr(0) . pack('n', 32) . pack('H*', $deviceToken) . pack('n', strlen($payload)) . $payload;
$result = fwrite($fp, $msg, strlen($msg));
fclose($fp);
echo json_encode(['form' => 'simple', 'written' => $result === strlen($msg)]), "\n";

// The next one would take its place if it had not been delivered yet.
$received = dirname($file) . '/notifications.jsonl';
for ($until = time() + 60; time() < $until && !str_contains((string) file_get_contents($received), "\n"); usleep(20000)) {
}

// Enhanced: a good one, one to an app that is gone, which is no error, one with
// a bad device token, and another good one.
$fp = connect($dev['legacy.sandbox']);
$expire = time() + 3600;
foreach ([1 => $deviceToken, 2 => $gone, 3 => str_repeat('ab', 32), 4 => $deviceToken] as $id => $token) {
    $p = str_replace('by PHP', "by PHP, number $id", $payload);
    fwrite($fp, pack('CNNnH*', 1, $id, $expire, 32, $token) . pack('n', strlen($p)) . $p);
}
$error = fread($fp, 6);
echo json_encode(['form' => 'enhanced'] + (unpack('Ccommand/Cstatus_code/Nidentifier', $error) ?: [])
    + ['end' => fread($fp, 1) === '' && feof($fp)]), "\n";
fclose($fp);

// Feedback: tuples until the service closes.
$fp = connect($dev['feedback.sandbox']);
$tuples = [];
while (!feof($fp)) {
    $data = fread($fp, 38);
    if (strlen($data) == 38) {
        $tuples[] = unpack('N1timestamp/n1length/H*devtoken', $data);
    }
}
fclose($fp);
echo json_encode(['form' => 'feedback', 'tuples' => $tuples]), "\n";
