// Leads a channel from its creation to its end with @parse/node-apn, and prints
// what the library made of the answers, step by step.
//
// usage: node channel.js DEV_JSON p8|pem|p12 REQUEST_ID
'use strict';
const apn = require('@parse/node-apn');
const { open, print } = require('./open.js');

const [file, by, requestId] = process.argv.slice(2);
const { dev, provider } = open(file, by);

// manage asks for something to be done to a channel.
const manage = (action, properties) => provider.manageChannels(
  Object.assign(new apn.Notification(), { requestId }, properties), dev.topic, action);

// broadcast sends an update of a Live Activity.
const broadcast = (channelId) => {
  const now = Math.floor(Date.now() / 1000);
  return provider.broadcast(Object.assign(new apn.Notification(), {
    requestId,
    channelId,
    pushType: 'liveactivity',
    expiry: now + 3600,
    timestamp: now,
    event: 'update',
    contentState: { score: 1 },
  }), dev.topic);
};

async function life() {
  const steps = { empty: await manage('readAll') };
  steps.create = await manage('create', { payload: { 'message-storage-policy': 1 } });
  const channelId = steps.create.sent[0]?.['apns-channel-id'];
  steps.read = await manage('read', { channelId });
  steps.list = await manage('readAll');
  steps.broadcast = await broadcast(channelId);
  steps.delete = await manage('delete', { channelId });
  steps.gone = await broadcast(channelId);
  steps.left = await manage('readAll');
  return steps;
}

life().then((steps) => {
  print(steps);
  provider.shutdown();
});
