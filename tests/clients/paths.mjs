// ws on every path of /paths.json, by the cases of paths.json beside this file, which paths.py reads too.
// tests/clients/run starts it, with the address of the server in SERVER_URL.
//
// A case opens `path` with what the client `offers` and the `headers`, sends all of `send` and gets all of
// `receive`, in order; `{ bytes }` is a binary message of that length, `{ fragments }` one in these. Then the server
// ends it (`closed`, `lost`, `violation`), or there is nothing more (`silent`) and the client closes: to which there is an
// answer, unless it is `unanswered`, or the client leaves (`abandon`). What is `refused` is so over plain HTTP too.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import WebSocket from 'ws';

const url = process.env.SERVER_URL;
const http = url.replace('ws://', 'http://');
const SILENCE = 300; // milliseconds in which nothing may come

const rows = await (await fetch(`${http}/paths.json`)).json();
/** `{9 times x}` stands for nine of them. */
const text = readFileSync(new URL('paths.json', import.meta.url), 'utf8');
const cases = JSON.parse(text.replace(/\{(\d+) times (.*?)\}/g, (_, n, what) => what.repeat(n)));

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

/** A client whose events are taken one by one. */
class Client {
  static all = [];
  events = [];
  waiting = [];

  constructor(path, { offers = [], headers = {} }) {
    const socket = this.socket = new WebSocket(url + path, offers, { headers, maxPayload: 1 << 30, closeTimeout: 120_000 });
    Client.all.push(socket);
    socket.on('open', () => this.put({ open: socket.protocol }));
    socket.on('unexpected-response', (_, response) => {
      let body = '';
      response.setEncoding('utf8').on('data', part => body += part);
      response.on('end', () => this.put({ refused: response.statusCode, body, headers: response.headers }));
    });
    socket.on('message', (data, binary) => this.put({ message: binary ? { bytes: data.length } : data.toString() }));
    socket.on('error', error => this.put({ error }));
    socket.on('close', (code, reason) => this.put({ closed: code, reason: reason.toString() }));
  }

  put(event) {
    const taker = this.waiting.shift();
    if (taker) taker(event);
    else this.events.push(event);
  }

  next() {
    return this.events.shift() ?? new Promise(resolve => this.waiting.push(resolve));
  }

  send(message) {
    if (message.bytes !== undefined) this.socket.send(Buffer.alloc(message.bytes));
    else if (message.fragments) {
      message.fragments.forEach((part, i, parts) => this.socket.send(part, { fin: i === parts.length - 1 }));
    } else this.socket.send(message);
  }
}

async function refused(item) {
  const { path, says = '', header, headers } = item;
  const answer = await new Client(path, item).next();
  assert.equal(answer.refused, item.refused, JSON.stringify(answer));
  assert.ok(answer.body.includes(says), answer.body);
  if (header) assert.equal(answer.headers[header[0].toLowerCase()], header[1]);
  // What a subprotocol is offered by there is no other way to say.
  if (item.offers) return;
  const plain = await fetch(http + path, { headers, redirect: 'manual' });
  assert.equal(plain.status, item.refused, 'over plain HTTP');
  assert.ok((await plain.text()).includes(says));
}

async function got(item) {
  const answer = await fetch(http + item.get);
  assert.equal(answer.status, item.status);
  assert.ok((await answer.text()).includes(item.says ?? ''));
}

async function end(client, item) {
  if (item.closed) {
    const { closed, reason } = await client.next();
    assert.deepEqual([closed, item.reason === undefined || reason === item.reason], [item.closed, true], reason);
  } else if (item.lost) {
    // ws does not tell a reset from an end of TCP: paths.py does.
    assert.equal((await client.next()).closed, 1006);
  } else if (item.violation) {
    const { error } = await client.next();
    const [status] = Object.getOwnPropertySymbols(error ?? {});
    assert.equal(error?.[status], item.violation, String(error));
  } else {
    if (item.silent) {
      await wait(SILENCE);
      assert.deepEqual(client.events, []);
    }
    if (item.abandon) return client.socket.terminate();
    client.socket.close(4321);
    if (item.unanswered) {
      await wait(SILENCE);
      assert.deepEqual(client.events, []);
      return client.socket.terminate();
    }
    let event;
    // What was under way comes before the answer.
    do event = await client.next(); while (event.message !== undefined);
    assert.equal(event.closed, 4321);
  }
}

function answered(socket) {
  return new Promise(resolve => {
    socket.once('pong', resolve);
    socket.ping();
  });
}

async function opened(item) {
  const start = performance.now();
  const client = new Client(item.path, item);
  const first = await client.next();
  if (item.fails) return assert.ok(first.error || first.refused === 101, JSON.stringify(first));
  assert.equal(first.open, item.agreed ?? '', JSON.stringify(first));
  const other = item.other && new Client(item.other, {});
  await other?.next();
  // Who answers a Ping is in its room, which may be after it is open.
  if (other) for (const { socket } of [client, other]) await answered(socket);
  item.send?.forEach(message => client.send(message));
  for (const expected of item.receive ?? []) {
    const event = await client.next();
    if (expected.like) assert.match(event.message, new RegExp(expected.like));
    else assert.deepEqual(event.message, expected, JSON.stringify(event));
    if (other) assert.deepEqual((await other.next()).message, expected);
  }
  other?.socket.terminate();
  await end(client, item);
  const [min, max] = item.seconds ?? [0, 120];
  const seconds = (performance.now() - start) / 1000;
  assert.ok(min <= seconds && seconds <= max, `it took ${seconds} s`);
}

// One that failed must not keep the rest waiting.
after(() => Client.all.forEach(socket => socket.terminate()));

test('every path has a case, and every case a path', () => {
  const missing = rows.map(row => row.path).filter(path => !cases[path] && path !== '/cert.pem');
  const unknown = Object.keys(cases).filter(path => path !== 'no path' && !rows.some(row => row.path === path));
  assert.deepEqual({ missing, unknown }, { missing: [], unknown: [] });
});

for (const [path, items] of Object.entries(cases)) {
  test(path, { concurrency: true, timeout: 300_000 }, async context => {
    await Promise.all(items.map(item => context.test((item.get ?? item.path).slice(0, 80), () => {
      if (item.get) return got(item);
      return item.refused ? refused(item) : opened(item);
    })));
  });
}
