// What the programs here share: a provider of @parse/node-apn for a running
// herald dev, told where that is by the library's own options, and the printing
// of what it answers.
'use strict';
const apn = require('@parse/node-apn');
const fs = require('node:fs');

// open reads dev.json and returns it with a provider that sends by one of its
// credentials: p8, pem or p12.
exports.open = (file, by) => {
  const dev = JSON.parse(fs.readFileSync(file));
  const credentials = {
    p8: { token: { key: dev.key, keyId: dev.key_id, teamId: dev.team_id } },
    pem: { cert: dev['certificate.pem'], key: dev['certificate.pem'] }, // one file holds both
    p12: { pfx: dev['certificate.p12'], passphrase: dev['certificate.p12_password'] },
  };
  if (!(by in credentials)) throw new Error(`credential ${by}: want one of ${Object.keys(credentials)}`);
  const gateway = new URL('https://' + dev['gateway.sandbox']);
  const channels = new URL('https://' + dev['channels.sandbox']);
  const provider = new apn.Provider({
    ...credentials[by],
    address: gateway.hostname,
    port: Number(gateway.port),
    manageChannelsAddress: channels.hostname,
    manageChannelsPort: Number(channels.port),
    ca: dev.ca,
  });
  return { dev, provider };
};

// print prints answers as JSON; of an Error, what it says.
exports.print = (answers) => {
  const said = (key, value) => (value instanceof Error ? value.message : value);
  console.log(JSON.stringify(answers, said));
};
