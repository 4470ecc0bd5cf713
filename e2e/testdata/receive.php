// Receives webhooks with the verify of docs/webhooks.md, which stands before this: 204
// for what is signed, else 401. Prints the port, and ends when it is told to.
$server = stream_socket_server('tcp://127.0.0.1:0');
echo explode(':', stream_socket_get_name($server, false))[1], "\n";
while ($connection = stream_socket_accept($server, 600)) {
    $headers = [];
    fgets($connection); // the request line
    while (($line = trim(fgets($connection))) !== '') {
        [$name, $value] = explode(':', $line, 2);
        $headers[strtolower($name)] = trim($value);
    }
    $body = stream_get_contents($connection, (int) $headers['content-length']);
    $status = verify(trim(file_get_contents(getenv('SECRET_FILE'))), $headers, $body) ? '204 No Content' : '401 Unauthorized';
    fwrite($connection, "HTTP/1.1 $status\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    fclose($connection);
}
