// node's ws offers permessage-deflate in every way it can, to servers of every setting: what is agreed to,
// what comes back, and how many bytes that took. tests/clients/run starts it, with the binary in SERVER.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import WebSocket from 'ws';

/** Connections that are tried at once: more than a server has compressors for. */
const AT_ONCE = 12;

// What is offered: absent is null, `client_max_window_bits` without a value true.
const OFFERS = [false, true].flatMap(server_no_context_takeover => [false, true].flatMap(
  client_no_context_takeover => [null, 8, 9, 12, 15].flatMap(server_max_window_bits => [null, true, 8, 9, 12, 15].map(
    client_max_window_bits => ({
      server_no_context_takeover, client_no_context_takeover, server_max_window_bits, client_max_window_bits,
    })))));
const offer = (server_no_context_takeover, client_no_context_takeover, server_max_window_bits, client_max_window_bits) =>
  ({ server_no_context_takeover, client_no_context_takeover, server_max_window_bits, client_max_window_bits });
/** Those that differ the most. */
const FEW = [
  offer(false, false, null, null), offer(false, false, null, true), offer(false, false, 8, 8),
  offer(false, false, 15, 15), offer(true, false, 9, null), offer(false, true, 12, 12), offer(true, true, 10, 10),
];

const DEFAULTS = { server_bits: 15, client_bits: 12, server_fresh: false, client_fresh: false };
const SETTINGS = [
  [['--deflate-server-no-context-takeover'], { server_fresh: true }],
  [['--deflate-client-no-context-takeover'], { client_fresh: true }],
  [['--deflate-server-no-context-takeover', '--deflate-client-no-context-takeover'], { server_fresh: true, client_fresh: true }],
  [['--deflate-server-max-window-bits', '9'], { server_bits: 9 }],
  [['--deflate-client-max-window-bits', '9'], { client_bits: 9 }],
  [['--deflate-client-max-window-bits', '15', '--deflate-history', '32K'], { client_bits: 15 }],
  [['--deflate-level', '1'], {}],
  [['--deflate-level', '9', '--deflate-server-max-window-bits', '10', '--deflate-history', '1K'], { server_bits: 10 }],
  [['--deflate-threshold', '0'], {}],
];

const noise = (length, seed) => createHash('shake256', { outputLength: length }).update(seed).digest();
const JSON_TEXT = JSON.stringify(Array.from({ length: 4000 }, (_, id) => ({
  id, name: `sensor ${id % 97}`, value: noise(4, `${id}`).readUInt32LE() / 1000, tags: ['indoor', id % 3 ? 'on' : 'off'], at: 1700000000 + 7 * id,
})));
assert.ok(JSON_TEXT.length > 300 << 10);
const GREEK = 'Ἐν ἀρχῇ ἦν ὁ λόγος 👋🏽 世界 ';

/** Messages of every kind, each of which must come back; an array is sent in fragments. */
const MESSAGES = [
  '', Buffer.alloc(0), '', 'a', Buffer.of(0), 'ü',
  ...[31, 32, 33, 125, 126, 255, 256, 257, 1000, 4096, 16384, 65535, 65536].map(length => JSON_TEXT.slice(length, 2 * length)),
  GREEK, GREEK.repeat(300), noise(31, 'a'), noise(100, 'b'), noise(5000, 'c'), noise(70000, 'd'),
  Buffer.alloc(1 << 20), JSON_TEXT, Buffer.from(JSON_TEXT.slice(9, 40000)),
  ['in ', '', 'fragments'], ['', GREEK, ''], [JSON_TEXT.slice(0, 5000), JSON_TEXT.slice(0, 5000)],
  [noise(3000, 'e'), Buffer.alloc(3000), noise(3000, 'e')], ['', ''],
  // What does not compress between what does, and the same again, which refers to what was before it.
  ...Array.from({ length: 12 }, (_, i) => i % 2 ? noise(300 + 40 * i, `${i % 3}`) : JSON_TEXT.slice(60 * i, 60 * i + 600)),
];
const whole = message => Array.isArray(message) ? Buffer.concat(message.map(part => Buffer.from(part))) : Buffer.from(message);
const isBinary = message => typeof [message].flat()[0] !== 'string';
const TOTAL = MESSAGES.reduce((sum, message) => sum + whole(message).length, 0);

/** Has a server with these options while `act` runs, and looks at how it ends. */
async function serving(options, act) {
  const server = spawn(process.env.SERVER, [...options, '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exit = once(server, 'exit');
  let log = '';
  const url = await new Promise((resolve, reject) => {
    server.stderr.on('data', data => {
      log += data;
      const address = log.match(/^barews: listening on (\S+)(?: .*)?\n/m)?.[1];
      if (address) resolve(`ws://${address}`);
    });
    server.once('exit', status => reject(new Error(`the server ended with ${status}: ${log}`)));
  });
  try {
    await act(url);
  } finally {
    server.kill();
    const [status] = await exit;
    assert.ok(!log.includes('panicked'), log);
    assert.equal(status, 0, log);
  }
}

/** The parameters of the one extension in a header's value. */
function parse(header) {
  const [name, ...parameters] = header.split(/ *; */);
  assert.equal(name, 'permessage-deflate');
  const pairs = parameters.map(parameter => parameter.split('='));
  assert.equal(new Set(pairs.map(([name]) => name)).size, pairs.length, header);
  return Object.fromEntries(pairs.map(([name, value]) => [name, value === undefined ? true : Number(value)]));
}

/** What a server of these settings must answer to an offer (RFC 7692 §7.1). */
function agreed(offer, settings) {
  const answer = {};
  if (offer.server_no_context_takeover || settings.server_fresh) answer.server_no_context_takeover = true;
  if (offer.client_no_context_takeover || settings.client_fresh) answer.client_no_context_takeover = true;
  if (offer.server_max_window_bits) answer.server_max_window_bits = Math.min(offer.server_max_window_bits, settings.server_bits);
  const bits = offer.client_max_window_bits;
  if (bits) answer.client_max_window_bits = Math.min(bits === true ? 15 : bits, settings.client_bits);
  return answer;
}

/** An open connection, what it came to, and its socket; an `offer` of false is none. */
async function open(url, offer) {
  const perMessageDeflate = offer && {
    serverNoContextTakeover: offer.server_no_context_takeover,
    // Undefined, since false is to refuse it.
    clientNoContextTakeover: offer.client_no_context_takeover || undefined,
    serverMaxWindowBits: offer.server_max_window_bits ?? undefined,
    clientMaxWindowBits: offer.client_max_window_bits === true ? undefined : offer.client_max_window_bits ?? false,
    threshold: 0,
  };
  const client = new WebSocket(url, { perMessageDeflate });
  // What has come with the answer must not be missed.
  const queue = [], waiting = [];
  const put = item => waiting.length ? waiting.shift()(item) : queue.push(item);
  client.on('message', (data, binary) => put({ data, binary }));
  client.on('close', (code, reason) => put({ code, reason: String(reason) }));
  client.on('error', error => put({ error }));
  const [[response]] = await Promise.all([once(client, 'upgrade'), once(client, 'open')]);
  return {
    client,
    header: response.headers['sec-websocket-extensions'],
    bytes: () => response.socket.bytesRead,
    next: () => queue.length ? queue.shift() : new Promise(resolve => waiting.push(resolve)),
  };
}

function send(client, message, options = {}) {
  if (!Array.isArray(message)) return client.send(message, options);
  message.forEach((part, i) => client.send(part, { ...options, binary: isBinary(message), fin: i === message.length - 1 }));
}

async function comes(connection, message, what) {
  const { data, binary, ...rest } = await connection.next();
  assert.deepEqual(rest, {}, `${what}: in place of an echo`);
  // Not deepEqual, which would print a MiB.
  assert.ok(whole(message).equals(data), `${what}: ${data.length} other bytes`);
  assert.equal(binary, isBinary(message), what);
}

async function close(connection) {
  connection.client.close(1000);
  assert.deepEqual(await connection.next(), { code: 1000, reason: '' });
}

/** An echo of `message`, and the bytes that it came in. */
async function measured(connection, message) {
  const before = connection.bytes();
  connection.client.send(message);
  await comes(connection, message, 'an echo');
  return connection.bytes() - before;
}

/** All messages over one connection. */
async function exchange(url, offer, settings) {
  const connection = await open(url, offer);
  const answer = parse(connection.header);
  assert.deepEqual(answer, agreed(offer, settings));

  // What was sent once is not sent again, if it may be referred to: as far back as a window of 9 bits goes.
  // It gets shorter at every level, or it would be sent as it is, and be none that is referred to.
  const digits = noise(50, 'digits').toString('hex').repeat(2);
  const first = await measured(connection, digits), again = await measured(connection, digits);
  assert.ok(first > 60 && first < 220, `${first} bytes for 200 digits`);
  if (answer.server_no_context_takeover) assert.ok(again > 60, `${again} bytes: something was taken over`);
  else assert.ok(again < 40, `${again} bytes for 200 digits that were there before`);

  const before = connection.bytes();
  MESSAGES.forEach((message, i) => {
    send(connection.client, message);
    // One that is not compressed is none that a later one refers to.
    if (i % 5 === 0) connection.client.send(`plain ${i}`, { compress: false });
  });
  for (const [i, message] of MESSAGES.entries()) {
    await comes(connection, message, `message ${i}`);
    if (i % 5 === 0) await comes(connection, `plain ${i}`, `the plain one after ${i}`);
  }
  const took = connection.bytes() - before;
  assert.ok(took < TOTAL / 4, `${took} bytes for ${TOTAL}`);
  await close(connection);
}

const shown = value => JSON.stringify(value);

/** The exchange with each offer, several at once. */
async function matrix(url, offers, settings) {
  const left = offers.slice();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let one; (one = left.shift());) {
      try {
        await exchange(url, one, settings);
      } catch (error) {
        error.message = `${shown(one)}: ${error.message}`;
        throw error;
      }
    }
  }));
}

test(`ws: all ${OFFERS.length} offers`, () => serving(['--deflate'], url => matrix(url, OFFERS, DEFAULTS)));

for (const [options, settings] of SETTINGS) {
  test(`ws: ${options.join(' ')}`, () =>
    serving(['--deflate', ...options], url => matrix(url, FEW, { ...DEFAULTS, ...settings })));
}

test('ws: without --deflate nothing is agreed to, nor without an offer', async () => {
  await serving([], async url => {
    const connection = await open(url, FEW[1]);
    assert.equal(connection.header, undefined);
    assert.ok(await measured(connection, JSON_TEXT) > JSON_TEXT.length);
    await close(connection);
  });
  await serving(['--deflate'], async url => {
    const connection = await open(url, false);
    assert.equal(connection.header, undefined);
    assert.ok(await measured(connection, JSON_TEXT) > JSON_TEXT.length);
    await close(connection);
  });
});

test('ws: what there is no memory for is agreed to without context takeover', () =>
  // Half of it is for histories: 32 KiB of what comes, which cannot be asked to be less here, and 2 of what goes.
  serving(['--deflate', '--deflate-memory', '256K'], async url => {
    const connections = [];
    for (let i = 0; i < 5; i++) connections.push(await open(url, FEW[0]));
    const fresh = { server_no_context_takeover: true, client_no_context_takeover: true };
    assert.deepEqual(connections.map(({ header }) => parse(header)), [{}, {}, {}, fresh, fresh]);
    for (let i = 0; i < 3; i++) {
      for (const connection of connections) assert.ok(await measured(connection, JSON_TEXT) <= JSON_TEXT.length + 10);
    }
    for (const connection of connections) await close(connection);
  }));

/** Has a connection for each of a few offers, and one without, to a path. */
async function members(url, act) {
  for (const one of [...FEW, false]) {
    const connection = await open(url, one);
    try {
      await act(connection, one);
    } catch (error) {
      error.message = `${url}, ${shown(one)}: ${error.message}`;
      throw error;
    }
  }
}

test('ws: fragments, which the server makes', () => serving(['--deflate'], async url => {
  for (const [size, messages] of [[1, ['', 'abc', GREEK]], [7, [GREEK.repeat(20), noise(500, 'f')]], [1000, MESSAGES]]) {
    await members(`${url}/fragment/${size}`, async connection => {
      for (const message of [...messages, ...messages]) {
        send(connection.client, message);
        await comes(connection, message, `${whole(message).length} bytes`);
      }
      await close(connection);
    });
  }
}));

test('ws: what other paths send', () => serving(['--deflate'], async url => {
  await members(`${url}/count/300`, async connection => {
    for (let n = 1; n <= 300; n++) await comes(connection, `${n}`, `number ${n}`);
    assert.equal((await connection.next()).code, 1000);
  });
  await members(`${url}/jitter/5`, async connection => {
    const texts = Array.from({ length: 20 }, (_, i) => JSON_TEXT.slice(i, 100 * i));
    for (const text of texts) connection.client.send(text);
    for (const text of texts) await comes(connection, text, `${text.length} bytes`);
    await close(connection);
  });
  await members(`${url}/headers`, async (connection, one) => {
    const seen = String((await connection.next()).data).toLowerCase();
    assert.equal(seen.includes('permessage-deflate'), Boolean(one), seen);
    connection.client.send(GREEK);
    await comes(connection, GREEK, 'the echo after it');
    await close(connection);
  });
  await members(`${url}/flood/1000`, async connection => {
    for (let i = 0; i < 500; i++) await comes(connection, Buffer.alloc(1000, 0xba), `message ${i}`);
    connection.client.terminate();
  });
  await members(`${url}/close/4001?reason=enough&after=2`, async connection => {
    for (const text of ['first', JSON_TEXT]) {
      connection.client.send(text);
      await comes(connection, text, 'before the close');
    }
    assert.deepEqual(await connection.next(), { code: 4001, reason: 'enough' });
  });
}));

test('ws: one room for members that agreed to different things', () => serving(['--deflate'], async url => {
  const room = [];
  for (const one of [...FEW, ...FEW, false]) {
    const member = await open(`${url}/broadcast/mixed`, one);
    room.push(member);
    // Who gets its own message is in the room.
    const greeting = `hello from ${room.length}`;
    member.client.send(greeting);
    await comes(member, greeting, 'its own message');
  }
  const sent = (sender, i) => i % 4 === 3 ? noise(50 + 7 * i, `${sender}`) : `${sender}: ${JSON_TEXT.slice(30 * i, 30 * i + 40 * (i % 11))}`;
  // A room holds 1 MiB for a slow member, so each sends no more before all have that.
  for (let i = 0; i < 24; i++) {
    room.forEach(({ client }, sender) => client.send(sent(sender, i)));
    for (const [number, member] of room.entries()) {
      const left = new Set(room.map((_, sender) => String(sent(sender, i))));
      while (left.size) {
        const text = String((await member.next()).data);
        if (text.startsWith('hello')) continue;
        assert.ok(left.delete(text), `member ${number} got what nobody sent in round ${i}, or twice`);
      }
    }
  }
  for (const member of room) await close(member);
}));
