// Sends one notification to each of some devices with @parse/node-apn, in one
// call, and prints what the library made of the answers.
//
// usage: node push.js DEV_JSON p8|pem|p12 APNS_ID BODY DEVICE_TOKEN...
'use strict';
const apn = require('@parse/node-apn');
const { open, print } = require('./open.js');

const [file, by, id, body, ...devices] = process.argv.slice(2);
const { dev, provider } = open(file, by);

const note = new apn.Notification();
note.id = id;
note.topic = dev.topic;
note.pushType = 'alert';
note.expiry = Math.floor(Date.now() / 1000) + 3600;
note.title = 'e2e';
note.body = body;
note.badge = 7;
note.sound = 'default';

provider.send(note, devices).then((answers) => {
  print(answers);
  provider.shutdown();
});
