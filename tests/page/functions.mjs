// What the page does: connections, messages, files, round trips, closing, paths.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { check, connect, entry, field, press, row, says, send, start, state, until, visit } from './browser.mjs';

/** A row of the figures with two round trips or more: its first two, for the others are milliseconds. */
const TWICE = /^\D*(?:[2-9]|\d{2,})\s+(?:[2-9]|\d{2,})\s/;
const counts = (page, id) => page.locator(`#${id} td`).allInnerTexts();
const bars = async (page, kind) => (await page.locator(`#chart .${kind}`).getAttribute('d') ?? '').split('z').length - 1;

check('the policy forbids all but the page itself', async ({ page, response }) => {
  const policy = response.headers()['content-security-policy'];
  assert.match(policy, /^default-src 'none'; style-src 'sha256-[^' ]+'; script-src 'sha256-[^' ]+'; connect-src 'self' ws: wss: http: https:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/);
  assert.match(response.headers()['content-type'], /^text\/html; *charset=utf-8$/i);
  await page.locator('.path').first().waitFor();
  const loaded = await page.evaluate(() => performance.getEntriesByType('resource').map(one => new URL(one.name).pathname));
  assert.deepEqual(loaded, ['/paths.json']);
  assert.equal(await page.getByLabel('URL').inputValue(), '/echo');
});

check('text goes out with Ctrl+Enter and comes back', async ({ page, frames }) => {
  await connect(page, '/echo');
  await says(state(page), /^Connected to \/echo$/);
  const texts = ['Hello, wire', 'two\nlines \u00fc \u65e5\u672c \u{1f600}', '', '<img src=x onerror=alert(1)><b>no markup</b>'];
  for (const [i, text] of texts.entries()) {
    await send(page, text);
    const size = `${Buffer.byteLength(text)} B`;
    assert.equal(await entry(page, 'out', i).locator('.size').textContent(), size);
    assert.equal(await entry(page, 'in', i).locator('.size').textContent(), size);
    assert.equal(await entry(page, 'in', i).locator('.kind').textContent(), 'text');
    assert.equal(await entry(page, 'in', i).locator('code').textContent(), text);
    await says(entry(page, 'in', i).locator('.rtt'), /^\d+(\.\d+)? ms$/);
  }
  assert.equal(await page.locator('#log img, #log code b').count(), 0);
  // Playwright does not report an empty frame.
  assert.deepEqual(frames, texts.filter(Boolean).flatMap(text => [[true, text], [false, text]]));
});

check('a long text is cut in the log, and whole on the wire', async ({ page, frames }) => {
  await connect(page, '/ws');
  const text = 'wire\u00e9 '.repeat(3000);
  await field(page).fill(text);
  await page.getByRole('button', { name: 'Send Ctrl+Enter' }).click();
  await says(entry(page, 'in', 0).locator('small'), /the first 400 of 18,000 /);
  assert.equal(await entry(page, 'in', 0).locator('.size').textContent(), '21,000 B');
  assert.deepEqual(frames, [[true, text], [false, text]]);
});

check('files go out as binary messages, and so do bytes in hex', async ({ page, frames }) => {
  await connect(page, '/echo');
  const large = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 31) ^ (i >> 8)));
  const small = Buffer.from([0x00, 0xff, 0x7f]);
  const file = (name, buffer) => ({ name, mimeType: 'application/octet-stream', buffer });
  await page.getByLabel('File as binary').setInputFiles([file('large.bin', large), file('empty', Buffer.alloc(0))]);
  await entry(page, 'in', 1).waitFor();
  await page.getByLabel('Send as').selectOption('hex');
  await send(page, '00 FF 7');
  assert.match(await field(page).evaluate(one => one.validationMessage), /two for each byte/);
  await send(page, '00 FF 7f');
  await entry(page, 'in', 2).waitFor();
  // Playwright does not report an empty frame.
  for (const sent of [true, false]) {
    assert.deepEqual(frames.filter(frame => frame[0] === sent).map(frame => frame[1]), [large, small]);
  }
  for (const way of ['out', 'in']) {
    assert.equal(await entry(page, way, 0).locator('.kind').textContent(), 'binary');
    assert.equal(await entry(page, way, 0).locator('.size').textContent(), '100,000 B');
    const hex = large.subarray(0, 32).toString('hex').replace(/..(?!$)/g, '$& ');
    assert.ok((await entry(page, way, 0).locator('code').textContent()).includes(hex));
    assert.match(await entry(page, way, 0).locator('small').textContent(), /the first 32 of 100,000 bytes/);
    assert.equal(await entry(page, way, 1).locator('.size').textContent(), '0 B');
    assert.equal(await entry(page, way, 2).locator('code').textContent(), '00 ff 7f...');
  }
  // The name of a file is there where it was sent, and is no part of the message.
  assert.equal(await entry(page, 'out', 0).locator('.name').textContent(), 'large.bin');
  assert.equal(await entry(page, 'in', 0).locator('.name').count(), 0);
});

check('a file goes out as a text, if it is one', async ({ page, frames }) => {
  await connect(page, '/echo');
  const file = (name, text) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
  await page.getByLabel('File as text').setInputFiles([file('grüße.txt', '\ufeffgrüße\n'), file('latin1', Buffer.from([0xfc]))]);
  await says(entry(page, 'bad', 0), /latin1 is not UTF-8/);
  await says(entry(page, 'out', 0).locator('code'), /^grüße\.txt /);
  await entry(page, 'in', 0).waitFor();
  assert.deepEqual(frames, [[true, '\ufeffgrüße\n'], [false, '\ufeffgrüße\n']]);
});

check('the chart and the figures follow each round trip', async ({ page, frames }) => {
  await connect(page, '/echo');
  assert.deepEqual([await bars(page, 'messages'), await bars(page, 'pings')], [0, 0]);
  await send(page, 'again');
  for (let i = 1; i < 130; i++) await page.keyboard.press('Control+Enter');
  await entry(page, 'in', 129).waitFor();
  await says(page.locator('#messages'), /130\s+130\s/);
  assert.equal(await bars(page, 'messages'), 120);
  const figures = (await counts(page, 'messages')).slice(2).map(Number);
  const [min, average, p99, max] = figures;
  assert.ok(0 <= min && min <= average && average <= max && min <= p99 && p99 <= max, String(figures));
  assert.equal(await bars(page, 'handshakes'), 0); // more came since
  await says(page.locator('#handshakes'), /1\s+1\s/);
});

check('the chart begins with the handshake, and is cleared with another URL or at a press', async ({ page }) => {
  await page.getByRole('img', { name: 'No round trips yet' }).waitFor();
  await connect(page, '/echo');
  await says(page.locator('#handshakes'), /1\s+1\s+\d/);
  assert.equal(await bars(page, 'handshakes'), 1);
  await send(page, 'x');
  await says(page.locator('#messages'), /1\s+1\s/);
  await press(page, 'Reconnect');
  await says(page.locator('#handshakes'), /2\s+2\s/);
  assert.equal(await bars(page, 'messages'), 1);
  await page.getByLabel('URL').fill('/ws');
  await press(page, 'Reconnect');
  await says(page.locator('#handshakes'), /1\s+1\s/);
  assert.equal(await bars(page, 'messages'), 0);
  await press(page, 'Clear the round trips');
  await page.getByRole('img', { name: 'No round trips yet' }).waitFor();
});

check('pings have a connection of their own, and none at another server', async ({ page, frames }) => {
  const other = await visit();
  await connect(other.page, '/broadcast/pinged');
  await connect(page, '/broadcast/pinged');
  await page.getByLabel('Ping each second').check();
  await says(page.locator('#pings'), TWICE);
  assert.ok(await bars(page, 'pings') >= 2);
  assert.ok(frames.some(([sent, payload]) => sent && payload === 'ping 2'));
  await send(page, 'last');
  await says(entry(other.page, 'in', 0).locator('code'), /^last$/);
  assert.deepEqual(other.frames, [[false, 'last']]);
  await entry(page, 'out', 0).waitFor();
  assert.equal(await page.locator('#log .out').count(), 1);
  await says(page.locator('#how'), /connection of their own/);
  await press(page, 'Disconnect');
  await says(state(page), /^Closed/); // what is told of the URL is of the next connection from then on
  // What is under way may still come.
  const pings = () => frames.filter(([sent]) => sent).length, before = pings();
  await page.getByLabel('URL').fill('wss://example.com/');
  await says(page.locator('#how'), /at another one they would be messages/);
  await new Promise(resolve => setTimeout(resolve, 1500)); // a second in which none may go
  assert.equal(pings(), before);
  await other.close();
});

check('the server\u2019s Ping frames are counted from its reports', async ({ page, frames }) => {
  await page.getByLabel('Ping each second').check();
  await connect(page, '/ping/1');
  await says(page.locator('#how'), /real Ping frames/);
  await says(page.locator('#pings'), TWICE);
  await press(page, 'Disconnect');
  await says(state(page), /^Closed: 1000/);
  assert.equal(frames.filter(([sent]) => sent).length, 0);
  const reports = frames.map(([, payload]) => JSON.parse(payload));
  assert.deepEqual(reports.map(report => report.ping), reports.map((_, i) => i + 1));
  // A browser keeps to itself what comes once it closes.
  const told = await page.evaluate(() => connections[0].trips.pings.back);
  assert.ok(told >= 2 && told <= reports.length, `${told} of ${reports.length}`);
  await says(page.locator('#pings'), new RegExp(`^\\D*${told}\\s+${told}\\s`));
  const longest = Math.max(...reports.slice(0, told).map(report => report.rtt_ms));
  const max = Number((await counts(page, 'pings'))[5]);
  assert.ok(Math.abs(max - longest) <= .5, `${max} is shown for ${longest}`);
});

check('a close with a code and a reason is seen by both', async ({ page }) => {
  await connect(page, '/echo');
  const code = page.getByLabel('Close with'), reason = page.getByLabel('Reason', { exact: true });
  await code.fill('1001');
  await press(page, 'Close');
  assert.match(await code.evaluate(one => one.validationMessage), /3000 to 4999/);
  await code.fill('4001');
  await reason.fill('\u00e9'.repeat(62));
  await says(page.locator('#left'), /^124 of 123 bytes$/);
  await press(page, 'Close');
  assert.match(await reason.evaluate(one => one.validationMessage), /123 bytes/);
  await says(state(page), /^Connected/);
  await reason.fill('so long, \u00fcber');
  await press(page, 'Close');
  await says(state(page), /^Closed: 4001 \u201cso long, \u00fcber\u201d$/);
  await says(entry(page, 'event', -1), /closed: code 4001 \u201cso long, \u00fcber\u201d, clean/);
  await says(row(page).locator('.toggle'), /^Connect$/);
  assert.ok(await page.getByRole('button', { name: 'Close', exact: true }).isDisabled());
  // The server tells it once the connection has ended on its side, too.
  await until(() => /4001\b.*so long/.test(readFileSync(process.env.SERVER_LOG, 'utf8')));
});

check('a close by the server, at once and after messages', async ({ page }) => {
  await page.getByLabel('URL').fill('/close/4002?reason=bye');
  await page.keyboard.press('Enter');
  await says(state(page), /^Closed: 4002 \u201cbye\u201d$/);
  await connect(page, '/close/4003?reason=enough&after=2');
  await send(page, 'one');
  await entry(page, 'in', 0).waitFor();
  await says(state(page), /^Connected/);
  await send(page, 'two');
  await says(state(page), /^Closed: 4003 \u201cenough\u201d$/);
});

check('a connection lost without a Close frame is told from a closed one', async ({ page }) => {
  await connect(page, '/drop/1');
  await send(page, 'last words');
  await says(state(page), /^Closed: 1006$/);
  await says(entry(page, 'event', -1), /code 1006, not clean/);
});

check('the subprotocol that was chosen is shown', async ({ page }) => {
  await connect(page, '/subprotocol', 'chat, superchat');
  await says(state(page), /^Connected to \/subprotocol, subprotocol chat$/);
});

check('the extensions that were agreed on are told', async ({ page }) => {
  // Not every build of the server has one: this server agrees to it, and says no more.
  const agreed = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
  const server = createServer().on('upgrade', (request, socket) => {
    const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
    const accept = createHash('sha1').update(key).digest('base64');
    socket.on('error', () => {}).end(['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${accept}`, `Sec-WebSocket-Extensions: ${agreed}`, '', ''].join('\r\n'));
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  try {
    await page.getByLabel('URL').fill(`ws://127.0.0.1:${server.address().port}/`);
    await page.keyboard.press('Enter');
    await says(entry(page, 'event', 0), /connected to ws:.*, permessage-deflate; [^,]*server_no_context_takeover.* in /);
  } finally {
    server.close();
  }
});

check('another path agrees to one too, and to the one that the URL asks for', async ({ page }) => {
  await connect(page, '/echo', 'chat, superchat');
  await says(state(page), /^Connected to \/echo, subprotocol chat$/);
  await press(page, 'Disconnect');
  await start(page, '/echo?subprotocol=superchat', 'chat, superchat');
  await says(state(page), /^Connected to \/echo\?subprotocol=superchat, subprotocol superchat$/);
  await send(page, 'hello');
});

check('extensions are agreed to as expected, and messages come back whole', async ({ page }) => {
  const echo = text => new Promise(resolve => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/echo`);
    const texts = ['', 'a', text, text, text.slice(0, 99), 'x'.repeat(1 << 20), text], came = [];
    socket.onopen = () => { for (const one of texts) socket.send(one); };
    socket.onmessage = ({ data }) => { if (came.push(data) === texts.length) socket.close(); };
    socket.onclose = ({ code }) => resolve({ code, extensions: socket.extensions, whole: came.every((one, i) => one === texts[i]), came: came.length });
  });
  const text = JSON.stringify(Array.from({ length: 4000 }, (_, id) => ({ id, name: 'grüße \u{1f600}', value: Math.random() })));
  assert.deepEqual(await page.evaluate(echo, text), { code: 1005, extensions: process.env.EXTENSIONS ?? '', whole: true, came: 7 });
});

check('messages of others come and have no round trip', async ({ page }) => {
  const other = await visit();
  await connect(page, '/broadcast/lobby');
  // Who gets its own message is in the room, which may be after it is open.
  await send(page, 'mine');
  await says(entry(page, 'in', 0).locator('code'), /^mine$/);
  await connect(other.page, '/broadcast/lobby');
  await send(other.page, 'from the other');
  await says(entry(page, 'in', 1).locator('code'), /^from the other$/);
  assert.equal(await entry(page, 'in', 1).locator('.rtt').textContent(), '');
  await says(entry(other.page, 'in', 0).locator('.rtt'), / ms$/);
  await other.close();
});
