// Clients for Node.js, and Bun where it is, over wss to a server whose certificate signs itself: trusted
// because NODE_EXTRA_CA_CERTS names it, which Node.js reads when it starts. tests/clients/run starts this, with
// the server's address in SERVER_URL and another server, whom nobody trusts, in STRANGER_URL.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import https from 'node:https';
import { test } from 'node:test';
import tls from 'node:tls';
import { WebSocket as Undici } from 'undici';
import WebSocket from 'ws';

const url = process.env.SERVER_URL;
const stranger = process.env.STRANGER_URL;
const { hostname, port } = new URL(url);
const certificate = readFileSync(process.env.NODE_EXTRA_CA_CERTS, 'utf8');

const noise = (length, seed) => createHash('shake256', { outputLength: length }).update(seed).digest();
const MESSAGES = [
  '', 'a', 'Hello, \u{1f512}', 'ü'.repeat(3000), noise(1, 'a'), noise(125, 'b'), noise(16383, 'c'), noise(16384, 'd'),
  noise(65536, 'e'), noise(1 << 20, 'f'), noise((16 << 20) - 7, 'g'), 'x'.repeat(1 << 20),
];

const Bun = process.versions.bun && { bun: globalThis.WebSocket };
// Node.js has its own from version 22 on.
const Own = !Bun && globalThis.WebSocket && { global: globalThis.WebSocket };

for (const [name, Client] of Object.entries({ ws: WebSocket, undici: Undici, ...Own, ...Bun })) {
  test(`${name}: whatever is sent comes back`, { timeout: 120_000 }, async () => {
    const socket = new Client(`${url}/echo`);
    socket.binaryType = 'arraybuffer';
    const answers = [];
    await new Promise((resolve, reject) => {
      socket.onerror = event => reject(event.error ?? new Error(event.message));
      socket.onclose = event => reject(new Error(`closed with ${event.code}`));
      socket.onopen = () => MESSAGES.forEach(message => socket.send(message));
      socket.onmessage = event => answers.push(event.data) === MESSAGES.length && resolve();
    });
    for (const [i, message] of MESSAGES.entries()) {
      assert.equal(typeof answers[i], typeof message === 'string' ? 'string' : 'object');
      assert.ok(Buffer.from(answers[i]).equals(Buffer.from(message)), `message ${i}`);
    }
    const closed = new Promise(resolve => { socket.onclose = resolve; });
    socket.close(4001, 'goodbye');
    const { code, reason, wasClean } = await closed;
    assert.deepEqual([code, reason, wasClean], [4001, 'goodbye', true]);
  });

  test(`${name}: the server closes with its code`, async () => {
    const socket = new Client(`${url}/close/4002?reason=over`);
    const { code, reason } = await new Promise(resolve => { socket.onclose = resolve; });
    assert.deepEqual([code, reason], [4002, 'over']);
  });

  test(`${name} does not trust a stranger`, async () => {
    const socket = new Client(`${stranger}/echo`);
    const opened = await new Promise(resolve => {
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    });
    assert.ok(!opened);
  });
}

test('ws hears a Ping and answers it, and has its own answered', async () => {
  const socket = new WebSocket(`${url}/ping/0.05`);
  const [data] = await once(socket, 'ping');
  assert.ok(Buffer.isBuffer(data));
  // The server tells of each Pong that it has.
  const [told] = await once(socket, 'message');
  assert.match(told.toString(), /rtt/);
  socket.ping('mine');
  assert.equal((await once(socket, 'pong'))[0].toString(), 'mine');
  socket.terminate();
});

test('ws: 8 MiB in fragments each way at once', { timeout: 120_000 }, async () => {
  const socket = new WebSocket(`${url}/fragment/1000`);
  await once(socket, 'open');
  const parts = Array.from({ length: 8 }, (_, i) => noise(1 << 20, `${i}`));
  parts.forEach((part, i) => socket.send(part, { fin: i === 7 }));
  const [answer] = await once(socket, 'message');
  assert.ok(answer.equals(Buffer.concat(parts)));
  socket.close();
  await once(socket, 'close');
});

test('the certificate is served to those who trust it', async () => {
  const [response] = await once(https.get({ hostname, port, path: '/cert.pem' }), 'response');
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers['content-type'], 'application/pem-certificate-chain');
  let text = '';
  for await (const chunk of response) text += chunk;
  assert.equal(text, certificate);
});

test('what is agreed on: TLS 1.2 or 1.3, http/1.1 and nothing else', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const socket = tls.connect({ host: hostname, port, minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] });
    await once(socket, 'secureConnect');
    assert.deepEqual([socket.getProtocol(), socket.alpnProtocol, socket.authorized], [version, 'http/1.1', true]);
    socket.destroy();
  }
  // Bun's TLS is not OpenSSL's, and has no such way to ask for what is old.
  const old = Bun ? [] : [{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }];
  for (const options of [{ ALPNProtocols: ['h2'] }, ...old]) {
    const socket = tls.connect({ host: hostname, port, ...options });
    const [error] = await once(socket, 'error');
    assert.match(error.code, /ALERT|PROTOCOL/, error.code);
  }
});
