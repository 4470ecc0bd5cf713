// Sends one notification with Node's own http2, by a PKCS#12 file or by a
// provider token, and prints status, apns-id and body.
//
// usage: node push.js DEV_JSON p12|p8 APNS_ID PAYLOAD
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const http2 = require('node:http2');

const [file, by, id, payload] = process.argv.slice(2);
const dev = JSON.parse(fs.readFileSync(file));

// providerToken signs a JWT. Its signature is R and S side by side (RFC 7518
// section 3.4), which Node calls ieee-p1363.
function providerToken() {
  const part = (claims) => Buffer.from(JSON.stringify(claims)).toString('base64url');
  const signed = part({ alg: 'ES256', kid: dev.key_id })
    + '.' + part({ iss: dev.team_id, iat: Math.floor(Date.now() / 1000) });
  const key = { key: fs.readFileSync(dev.key), dsaEncoding: 'ieee-p1363' };
  return signed + '.' + crypto.sign('sha256', Buffer.from(signed), key).toString('base64url');
}

const tls = { ca: fs.readFileSync(dev.ca) };
const headers = {
  ':method': 'POST',
  ':path': '/3/device/' + dev.device_token,
  'apns-topic': dev.topic,
  'apns-id': id,
  'apns-push-type': 'alert',
  'apns-priority': '10',
};
if (by === 'p12') {
  tls.pfx = fs.readFileSync(dev['certificate.p12']);
  tls.passphrase = dev['certificate.p12_password'];
} else {
  headers.authorization = 'bearer ' + providerToken();
}

const gateway = http2.connect('https://' + dev['gateway.sandbox'], tls);
gateway.on('error', (err) => { throw err; });
const push = gateway.request(headers);
push.setTimeout(20000, () => { throw new Error('no answer'); });
let status, answered, body = '';
push.on('response', (h) => { status = h[':status']; answered = h['apns-id']; });
push.setEncoding('utf8');
push.on('data', (text) => { body += text; });
push.on('end', () => {
  console.log(JSON.stringify({ status, id: answered, body }));
  gateway.close();
});
push.end(payload);
