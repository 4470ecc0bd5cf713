// Sends with apn 1.7, the library of Node's legacy years, over the legacy
// interface: a good one, one with a bad device token, one more good one, which
// the library has to send again; then reads the feedback. Prints a line of JSON
// for each thing it was told.
//
// usage: node push.js DEV_JSON CK_PEM|P12 PAYLOAD GONE
// where GONE is a device token whose app is gone.
'use strict';
const apn = require('apn');
const fs = require('node:fs');

const [file, by, payload, gone] = process.argv.slice(2);
const dev = JSON.parse(fs.readFileSync(file));
const credentials = by.endsWith('.p12')
  ? { pfx: by, passphrase: dev['certificate.p12_password'] }
  : { cert: by, key: by }; // one file holds both

const at = (address) => {
  const colon = address.lastIndexOf(':');
  return { address: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
};
const options = (address) => ({ ...credentials, ...at(address), ca: [dev.ca], rejectUnauthorized: true });
const say = (what) => console.log(JSON.stringify(what));

const connection = new apn.Connection(options(dev['legacy.sandbox']));
for (const event of ['error', 'socketError', 'cacheTooSmall']) {
  connection.on(event, (e) => say({ event, message: String(e) }));
}
let refused = false;
let ends = 0;
connection.on('transmissionError', (status, n, device) => {
  say({ event: 'transmissionError', status, device: device.toString() });
  refused = true;
  connection.shutdown(); // once what comes after the bad one was sent again
});
connection.on('disconnected', () => {
  ends += 1;
  if (!refused || ends < 2) return; // the first is the gateway's, after its error
  const feedback = new apn.Feedback({ ...options(dev['feedback.sandbox']), interval: 0, batchFeedback: true });
  feedback.on('feedback', (list) => say({
    event: 'feedback',
    tuples: list.map(({ time, device }) => ({ time, device: device.toString() })),
  }));
});

for (const [text, to] of [['good', dev.device_token], ['gone', gone], ['bad', 'ab'.repeat(32)], ['again', dev.device_token]]) {
  const n = new apn.Notification();
  n.payload = JSON.parse(payload.replace('TEXT', text));
  n.expiry = Math.floor(Date.now() / 1000) + 3600;
  connection.pushNotification(n, to);
}
