// A gateway of sorts on Node's own HTTP/2, which shares nothing with Go's or
// Herald's. It answers by the first character of the device token: 1 is bad, 2 no
// longer registered, all others are fine. After PUSHES pushes it closes the
// connection in good order.
//
// node gateway.js KEY CERTIFICATE PUSHES
//
// It prints its port, and ends when standard input does.
'use strict';
const fs = require('node:fs');
const http2 = require('node:http2');

const [key, cert, pushes] = process.argv.slice(2);
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

// refusal returns status and body for a push that is not to be accepted.
function refusal(headers, body) {
  const token = /^\/3\/device\/([0-9a-f]+)$/.exec(headers[':path']);
  if (headers[':method'] !== 'POST') return [405, { reason: 'MethodNotAllowed' }];
  if (!token) return [404, { reason: 'BadPath' }];
  if (!uuid.test(headers['apns-id'])) return [400, { reason: 'BadMessageId' }];
  if (!/^bearer [\w-]+\.[\w-]+\.[\w-]+$/.test(headers.authorization)) return [403, { reason: 'MissingProviderToken' }];
  if (!headers['apns-topic']) return [400, { reason: 'MissingTopic' }];
  try {
    JSON.parse(body);
  } catch {
    return [400, { reason: 'PayloadEmpty' }];
  }
  if (token[1][0] === '1') return [400, { reason: 'BadDeviceToken' }];
  if (token[1][0] === '2') return [410, { reason: 'Unregistered', timestamp: 1700000000123 }];
  return null;
}

const server = http2.createSecureServer({
  key: fs.readFileSync(key), cert: fs.readFileSync(cert), settings: { maxConcurrentStreams: 20 },
});
server.on('session', (session) => {
  let left = Number(pushes);
  session.on('stream', (stream, headers) => {
    let body = '';
    stream.setEncoding('utf8');
    stream.on('data', (text) => { body += text; });
    stream.on('end', () => {
      const refused = refusal(headers, body);
      const answer = { ':status': refused ? refused[0] : 200, 'apns-id': headers['apns-id'] };
      stream.respond(answer, { endStream: !refused });
      if (refused) stream.end(JSON.stringify(refused[1]));
    });
    left -= 1;
    if (left === 0) session.close();
  });
  session.on('error', (err) => { console.error(err); });
});
server.listen(0, '127.0.0.1', () => { console.log(server.address().port); });
process.stdin.on('end', () => { process.exit(0); }).resume();
