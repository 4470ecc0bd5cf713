// Reads credentials with Node's own tls and crypto, as programs do that send
// from it. Each line of standard input is a job: reader, file and password,
// with tabs between. For each, a line goes to standard output: "ok", the
// SHA-256 of the certificate (DER) and of the public key (SPKI), each empty
// where the reader gets none, and how many issuers came along; or "no" and why.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const tls = require('node:tls');

const sha256 = (der) => crypto.createHash('sha256').update(der).digest('hex');
const spki = (key) => sha256(key.export({ type: 'spki', format: 'der' }));

// handshake presents a credential, which proves that its key works, and
// returns what the other side sees.
function handshake(credential) {
  const context = tls.createSecureContext(credential); // throws for what it cannot read
  return new Promise((resolve, reject) => {
    const server = tls.createServer({ SNICallback: (_, done) => done(null, context) });
    server.on('tlsClientError', reject);
    server.listen(0, '127.0.0.1', () => {
      const socket = tls.connect(
        { port: server.address().port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false },
        () => {
          const cert = socket.getPeerX509Certificate();
          let issuers = 0;
          for (let c = cert.issuerCertificate; c; c = c.issuerCertificate) issuers++;
          resolve([sha256(cert.raw), spki(cert.publicKey), issuers]);
          socket.destroy();
          server.close();
        },
      );
      socket.on('error', (err) => { server.close(); reject(err); });
    });
  });
}

const readers = {
  pfx: (data, passphrase) => handshake({ pfx: data, passphrase }),
  pair: (data, passphrase) => handshake({ cert: data, key: data, passphrase }),
  certificate: (data) => {
    const cert = new crypto.X509Certificate(data);
    return [sha256(cert.raw), spki(cert.publicKey), 0];
  },
  key: (data, passphrase) => ['', spki(crypto.createPublicKey(crypto.createPrivateKey({ key: data, passphrase }))), 0],
};

(async () => {
  for (const line of fs.readFileSync(0, 'utf8').trimEnd().split('\n')) {
    const [reader, file, password] = line.split('\t');
    try {
      console.log(['ok', ...(await readers[reader](fs.readFileSync(file), password))].join('\t'));
    } catch (err) {
      console.log('no\t' + String(err.message).replace(/\s+/g, ' '));
    }
  }
})();
