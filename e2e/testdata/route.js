// Has each name and port that a program in Node opens TLS to lead to PUSH_PORT of this
// machine, as a name service and a router would: libraries insist on port 443.
'use strict';
const tls = require('node:tls');

const { connect } = tls;
const there = { host: '127.0.0.1', port: Number(process.env.PUSH_PORT) };

// Node itself calls it as (port, host, options), others as (options).
tls.connect = (...args) => {
  const options = args.find((given) => given !== null && typeof given === 'object');
  const callback = args.find((given) => typeof given === 'function');
  return connect({ ...options, ...there }, callback);
};
