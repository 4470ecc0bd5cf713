// Receives webhooks with the verify of docs/webhooks.md, which stands before this: 204
// for what is signed, else 401. Prints the port, and ends at the end of its input.
const secret = () => require('node:fs').readFileSync(process.env.SECRET_FILE, 'utf8').trim();
const server = require('node:http').createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    response.writeHead(verify(secret(), request.headers, Buffer.concat(parts)) ? 204 : 401).end();
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
