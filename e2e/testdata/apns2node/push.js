// Sends one notification with apns2 for Node, and prints the reason if it was refused.
//
// usage: node push.js DEV_JSON HOST BODY DEVICE_TOKEN
'use strict';
const { ApnsClient, Notification } = require('apns2');
const fs = require('node:fs');

const [file, host, body, device] = process.argv.slice(2);
const dev = JSON.parse(fs.readFileSync(file));
const sender = new ApnsClient({
  team: dev.team_id,
  keyId: dev.key_id,
  signingKey: fs.readFileSync(dev.key),
  defaultTopic: dev.topic,
  host,
});

sender
  .send(new Notification(device, { alert: { title: 'e2e', body }, badge: 7, sound: 'default' }))
  .then(() => 'sent', (err) => err.reason ?? err.message)
  .then((said) => {
    console.log(said);
    return sender.close();
  });
