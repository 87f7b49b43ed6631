// Sessions: several connections, the address, what is remembered, reconnecting, repeating, and refusals.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { check, connect, entry, field, press, row, says, send, start, state, visit } from './browser.mjs';

// A page that came by https may ask none by http.
const secure = process.env.PAGE_URL.startsWith('https');
const refused = /WebSocket connection to|Failed to load resource/;

/** A server that answers every request alike, with what it was asked for. */
async function answering(respond) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    respond(request, response);
  });
  server.on('upgrade', (request, socket) => {
    asked.push(`upgrade ${request.url}`);
    socket.on('error', () => {}).end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
  return { asked, port: server.address().port, close: () => { server.closeAllConnections(); server.close(); } };
}

check('several connections side by side', async ({ page }) => {
  await connect(page, '/broadcast/two');
  // Who gets its own message is in the room, which may be after it is open.
  await send(page, 'from A alone');
  await says(page.locator('#log .in'), /from A alone/);
  await press(page, 'Clear');
  await press(page, 'Add a connection');
  assert.equal(await row(page, 1).getByLabel('URL').inputValue(), '/broadcast/two');
  await connect(page, '/broadcast/two', 'chat', 1);
  assert.equal(await page.getByText('Round trips of B').count(), 1);
  await send(page, 'from B');
  await says(page.locator('#log .in').nth(1), /from B/);
  const letters = async way => (await page.locator(`#log .${way} .margin .letter`).allTextContents()).sort();
  assert.deepEqual([await letters('out'), await letters('in')], [['B'], ['A', 'B']]);
  await row(page, 0).getByRole('radio').check();
  await send(page, 'from A');
  await says(page.locator('#messages'), /2\s+2\s/);
  await press(page, 'Side by side');
  const left = async one => (await page.locator('#log .entry', { hasText: one }).last().boundingBox()).x;
  const [a, b] = [await left('connected to'), await page.locator('#log .out').first().boundingBox()];
  assert.ok(a > 400 && b.x > 400, `${a} ${b.x}`);
  await page.locator('#whom').selectOption('A');
  await page.waitForFunction(() => [...document.querySelectorAll('#log .letter')].every(one => one.textContent === 'A'));
  await row(page, 0).getByRole('button', { name: 'Remove' }).click();
  assert.equal(await page.locator('.connection').count(), 1);
  await says(state(page), /^Connected to \/broadcast\/two, subprotocol chat$/);
  assert.ok(await page.getByRole('button', { name: 'Side by side' }).isHidden());
  await send(page, 'still');
  await says(page.locator('#log .in').last(), /still/);
  for (let i = 1; i < 6; i++) await press(page, 'Add a connection');
  assert.ok(await page.getByRole('button', { name: 'Add a connection' }).isDisabled());
});

check('a link has the session, and only a press connects', async ({ page, frames }) => {
  await page.getByLabel('URL').fill('/close/4000?reason=a%20b&after=1');
  await page.getByLabel('Subprotocols').fill('chat, v2');
  await field(page).fill('100 % & # + grüße\nline');
  await press(page, 'Save');
  await press(page, 'Add a connection');
  await row(page, 1).getByLabel('URL').fill('/count/3');
  await row(page, 1).getByLabel('Reconnect by itself').check();
  await page.waitForURL(/count/);
  assert.doesNotMatch(page.url(), /saved/); // those are one's own, until they are given away
  await press(page, 'Copy link');
  await says(page.locator('#said'), /^Copied a link: 2 connections, the message, 1 saved message$/);
  const link = new URL(await page.evaluate(() => navigator.clipboard.readText()));
  const other = await visit({ hash: link.hash });
  assert.equal(await row(other.page, 0).getByLabel('URL').inputValue(), '/close/4000?reason=a%20b&after=1');
  assert.equal(await row(other.page, 0).getByLabel('Subprotocols').inputValue(), 'chat, v2');
  assert.equal(await row(other.page, 1).getByLabel('URL').inputValue(), '/count/3');
  assert.ok(await row(other.page, 1).getByLabel('Reconnect by itself').isChecked());
  assert.equal(await field(other.page).inputValue(), '100 % & # + grüße\nline');
  assert.equal(await other.page.locator('#saved li').count(), 1);
  await says(state(other.page), /^Not connected$/);
  assert.deepEqual([frames, other.frames], [[], []]);
  assert.equal(await other.page.locator('#log .entry').count(), 0);
  await row(other.page, 1).getByRole('button', { name: 'Connect', exact: true }).click();
  await says(entry(other.page, 'in', 2), /3/);
  await other.page.evaluate(() => location.hash = '#url=/headers&message-hex=00ff');
  await says(row(other.page, 0).locator('.state'), /^Not connected$/);
  await other.page.waitForFunction(() => document.querySelector('.url').value === '/headers');
  assert.equal(await other.page.getByLabel('Send as').inputValue(), 'hex');
  await other.close();
}, { permissions: ['clipboard-read', 'clipboard-write'] });

check('nonsense in the address and in the storage does no harm', async ({ page }) => {
  assert.equal(await page.getByLabel('URL').inputValue(), '/echo');
  await connect(page, '/echo');
}, {
  hash: `#subprotocols=x&auto=1&message-x=%ff&saved-hex=zz&url=&=&${'saved=x&'.repeat(500)}`,
  prepare: page => page.addInitScript(() => localStorage.setItem('barews', '{"connections":[1,{"url":7},null],"saved":{"length":9},"message":[]}')),
});

check('the session is remembered, and saved messages come back', async ({ page }) => {
  await page.getByLabel('URL').fill('/headers');
  await field(page).fill('first');
  await press(page, 'Save');
  await page.getByLabel('Send as').selectOption('hex');
  await field(page).fill('00 ff');
  await page.waitForURL(/message-hex/);
  // It is remembered a moment later, and at once if the page is left before.
  await press(page, 'Save');
  await page.goto('about:blank');
  await page.goto(process.env.PAGE_URL);
  assert.equal(await page.getByLabel('URL').inputValue(), '/headers');
  assert.equal(await field(page).inputValue(), '00 ff');
  await page.locator('#saved').getByRole('button', { name: 'first', exact: true }).click();
  assert.deepEqual([await field(page).inputValue(), await page.getByLabel('Send as').inputValue()], ['first', 'text']);
  await press(page, 'Remove first');
  assert.deepEqual(await page.locator('#saved li').allInnerTexts(), ['hex: 00 ff\n×']);
  assert.equal(await page.evaluate(() => document.activeElement.innerText), 'hex: 00 ff');
});

check('without storage all else works', async ({ page }) => {
  await connect(page, '/echo');
  await press(page, 'Save');
  await send(page, 'x');
  await entry(page, 'in', 0).waitFor();
}, { prepare: page => page.addInitScript(() => Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })) });

check('a URL without a scheme goes where it says', async ({ page }) => {
  const { protocol, host, hostname, port } = new URL(process.env.PAGE_URL);
  const ws = protocol.replace('http', 'ws');
  const where = text => page.evaluate(text => { try { return resolve(text).href; } catch (error) { return error.name; } }, text);
  for (const [text, href] of [
    ['/echo', `${ws}//${host}/echo`], ['?x', `${ws}//${host}/?x`], [`:${port}/a`, `${ws}//${hostname}:${port}/a`],
    ['localhost:9001', `${ws}//localhost:9001/`], ['example.com/x?y#z', `${ws}//example.com/x?y`], ['//example.com', `${ws}//example.com/`],
    ['http://example.com/a', 'ws://example.com/a'], ['HTTPS://example.com', 'wss://example.com/'], [' wss://[::1]:1/ ', 'wss://[::1]:1/'],
    ['ftp://example.com', 'SyntaxError'], ['', 'TypeError'], ['javascript:alert(1)', 'TypeError'],
  ]) assert.equal(await where(text), href, text);
  await start(page, `${host}/echo`);
  await says(entry(page, 'event', 0), new RegExp(`connected to ${ws}//${host}/echo\\b`));
  await press(page, 'Disconnect');
  await start(page, 'ftp://example.com');
  await says(entry(page, 'bad', 0), /ftp: is no WebSocket/);
});

check('a refusal is asked for by plain HTTP', async ({ page }) => {
  await start(page, '/close/1');
  await says(entry(page, 'bad', 0), /not connected; asked by plain HTTP: 4\d\d [^]*code is a number from 1000 to 4999/);
  await says(state(page), /^Not connected$/);
  for (const [path, ...wanted] of [
    ['/status/429', /429/, /retry-after: 1\n/], ['/status/401', /401/, /www-authenticate: Basic realm="barews"/],
    ['/status/403?body=not%20you', /403/, /not you/], ['/status/302', /a redirect/, /leads to https?:\/\/[^/]+\/echo$/],
    ['/auth/bearer/t', /401/, /www-authenticate: Bearer/i], ['/Close/1000', /404/, /\/close/],
  ]) {
    await press(page, 'Clear');
    await start(page, path);
    for (const one of wanted) await says(entry(page, 'bad', 0), one);
  }
  await press(page, 'Clear');
  await start(page, '/echo', 'not a token');
  await says(entry(page, 'bad', 0), /subprotocol|protocol/i);
  await press(page, 'Clear');
  // What only the handshake has is told to be that.
  await start(page, '/echo?subprotocol=other', 'chat');
  await says(entry(page, 'bad', 0), /426 [^]*only the handshake has/);
  await connect(page, '/echo');
}, { expected: refused });

check('of another origin it is told what a browser hides', async ({ page }) => {
  if (secure) return;
  const closed = await answering((request, response) => response.writeHead(418).end('hidden'));
  const open = await answering((request, response) => response.writeHead(403, { 'Access-Control-Allow-Origin': '*' }).end('no entry'));
  try {
    await start(page, `localhost:${closed.port}/x`);
    await says(entry(page, 'bad', 0), /does answer by HTTP, but a browser hides/);
    await start(page, `localhost:${open.port}/x`);
    await says(entry(page, 'bad', 1), /asked by plain HTTP: 403 Forbidden\nno entry/);
    assert.ok(open.asked.includes('upgrade /x') && open.asked.includes('/x'));
    open.close();
    await start(page, `localhost:${open.port}/x`);
    await says(entry(page, 'bad', 2), /nothing answers either/);
  } finally {
    closed.close();
    open.close();
  }
}, { expected: /WebSocket connection to|Failed to load resource|CORS policy/ });

check('it reconnects by itself, each time later, until that is stopped', async ({ page }) => {
  await page.getByLabel('Reconnect by itself').check();
  await start(page, '/drop/0');
  // That was the last one, unless it is over already.
  await page.locator('#log .event', { hasText: 'attempt 3 in' }).waitFor();
  const waits = (await page.locator('#log .event code').allTextContents()).map(text => /^attempt (\d) in ([\d.]+) s$/.exec(text)).filter(Boolean);
  for (const [, attempt, seconds] of waits) {
    const full = .5 * 2 ** (attempt - 1);
    assert.ok(seconds >= full / 2 - .05 && seconds <= full + .05, `${attempt}: ${seconds}`);
  }
  await says(state(page), /^Waiting: attempt [3-9]/);
  // At once: the button is another's as soon as the wait is over.
  await page.waitForFunction(() => connections[0].waiting && (document.querySelector('.toggle').click(), true));
  await says(state(page), /^Not connected$/);
  // What one has closed oneself stays closed.
  await connect(page, '/echo');
  await press(page, 'Disconnect');
  await says(state(page), /^Closed: 1000/);
  await page.waitForFunction(() => !connections[0].waiting && !connections[0].socket);
});

check('it does not insist where the answer would be the same, and heeds Retry-After', async ({ page }) => {
  await page.getByLabel('Reconnect by itself').check();
  await start(page, '/status/403');
  await says(entry(page, 'event', -1), /no further attempt/);
  await start(page, '/status/503?header=Retry-After:40');
  await says(state(page), /^Waiting: attempt 1 in 40\.0 s/);
  await press(page, 'Stop');
}, { expected: refused });

check('a press reconnects', async ({ page }) => {
  await connect(page, '/echo');
  await page.getByLabel('URL').fill('/headers');
  await press(page, 'Reconnect');
  await says(state(page), /^Connected to \/headers$/);
  await says(entry(page, 'in', 0), /"path":"\/headers"/);
});

check('a message is repeated, until that is stopped', async ({ page }) => {
  await connect(page, '/echo');
  await field(page).fill('again');
  await page.getByLabel('Repeat every').fill('0');
  await press(page, 'Repeat');
  assert.match(await page.getByLabel('Repeat every').evaluate(one => one.validationMessage), /from 1 to 3,600,000/);
  await page.getByLabel('Repeat every').fill('10');
  await press(page, 'Repeat');
  await says(page.locator('#repeated'), /^[\d,]{2,} sent on A$/);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await entry(page, 'out', 9).waitFor();
  await press(page, 'Repeat');
  await press(page, 'Disconnect');
  await page.getByRole('button', { name: 'Repeat', exact: true }).waitFor();
});

check('what the server does not take is not piled up', async ({ page }) => {
  await connect(page, '/stall');
  await field(page).evaluate(one => one.value = 'x'.repeat(1 << 20));
  await page.getByLabel('Repeat every').fill('1');
  await press(page, 'Repeat');
  await says(page.locator('#repeated'), /left out: 1 MiB waits to be taken/);
  assert.ok(await page.evaluate(() => connections[0].socket.bufferedAmount) <= 4 << 20);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
});
