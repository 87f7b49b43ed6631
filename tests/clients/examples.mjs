// node's ws with the programs of examples/, which are in the folder EXAMPLES. tests/clients/run starts it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { JSONRPCClient } from 'json-rpc-2.0';
import WebSocket from 'ws';

/** Runs `use` with the address of an example on a free port, and stops that. */
async function example(name, use) {
  const child = spawn(`${process.env.EXAMPLES}/${name}`, ['127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const [line] = await once(createInterface(child.stderr), 'line');
    await use(line.match(/^listening on (ws.*)$/)[1]);
    assert.equal(child.exitCode, null);
  } finally {
    child.kill('SIGKILL');
  }
}

const message = async socket => String((await once(socket, 'message'))[0]);

test('json-rpc-2.0 calls methods, all at once', () => example('json_rpc', async url => {
  const socket = new WebSocket(url);
  await once(socket, 'open');
  const rpc = new JSONRPCClient(request => socket.send(JSON.stringify(request)));
  socket.on('message', data => rpc.receive(JSON.parse(data)));
  const sums = Array.from({ length: 100 }, (_, n) => rpc.request('sum', [n, n]));
  assert.deepEqual(await Promise.all(sums), sums.map((_, n) => 2 * n));
  assert.equal(await rpc.request('greet', { name: 'you' }), 'Hello, you!');
  rpc.notify('greet', { name: 'nobody' });
  await assert.rejects(rpc.request('absent'), { code: -32601 });
  socket.close();
  assert.equal((await once(socket, 'close'))[0], 1005);
}));

test('auth refuses in JSON, and greets', () => example('auth', async url => {
  const refused = new WebSocket(url);
  refused.on('error', () => {});
  const [, response] = await once(refused, 'unexpected-response');
  assert.equal(response.statusCode, 401);
  assert.deepEqual(JSON.parse(await response.toArray()), { error: 'unauthorized' });
  const socket = new WebSocket(url, { headers: { Cookie: 'theme=dark; session=session-of-bob' } });
  assert.equal(await message(socket), 'Hello, Bob!');
  socket.close();
}));

test('chat tells everybody', () => example('chat', async url => {
  const ann = new WebSocket(`${url}/room?name=Ann`);
  assert.equal(await message(ann), '* Ann has come');
  const bob = new WebSocket(`${url}/room?name=Bob%20B.`);
  assert.deepEqual(await Promise.all([message(ann), message(bob)]), ['* Bob B. has come', '* Bob B. has come']);
  ann.send('hello');
  assert.deepEqual(await Promise.all([message(ann), message(bob)]), ['Ann: hello', 'Ann: hello']);
  bob.close();
  assert.equal(await message(ann), '* Bob B. has gone');
  ann.close();
}));

test('heartbeat tells the time', () => example('heartbeat', async url => {
  const socket = new WebSocket(`${url}/?every=20`);
  for (let last = 0, n = 0; n < 10; n += 1) {
    const { uptime_ms: now } = JSON.parse(await message(socket));
    assert.ok(now > last);
    last = now;
  }
  socket.ping('still there?');
  await once(socket, 'pong');
  socket.close();
}));
