// Writes private keys with Node's own crypto, in all the forms that it has.
//
// usage: PASSWORD=… node write.js FOLDER
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const folder = process.argv[2];
const passphrase = process.env.PASSWORD;
const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ec = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const cipher = 'aes-256-cbc';
for (const [name, key, form] of [
  ['node-rsa-pkcs8.pem', rsa, { type: 'pkcs8', format: 'pem' }],
  ['node-rsa-pkcs8.der', rsa, { type: 'pkcs8', format: 'der' }],
  ['node-rsa-pkcs1.pem', rsa, { type: 'pkcs1', format: 'pem' }],
  ['node-rsa-pkcs8-encrypted.pem', rsa, { type: 'pkcs8', format: 'pem', cipher, passphrase }],
  ['node-rsa-pkcs8-encrypted.der', rsa, { type: 'pkcs8', format: 'der', cipher, passphrase }],
  ['node-rsa-pkcs1-encrypted.pem', rsa, { type: 'pkcs1', format: 'pem', cipher, passphrase }],
  ['node-ec-pkcs8.p8', ec, { type: 'pkcs8', format: 'pem' }],
  ['node-ec-sec1.pem', ec, { type: 'sec1', format: 'pem' }],
]) {
  fs.writeFileSync(path.join(folder, name), key.export(form), { mode: 0o600 });
}
