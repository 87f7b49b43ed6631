// The log and what is in it: messages opened, searched, kept within bounds, taken elsewhere.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { check, connect, entry, field, press, says, send, start, state, visit } from './browser.mjs';

const DOCUMENT = '{ "id": 12345678901234567890, "twice": 1, "twice": 2, "text": "a \\"b\\" ü {[,", "empty": [[], {}],'
  + ` "list": [${Array.from({ length: 450 }, (_, i) => `{"i": ${i}, "name": "entry ${i}"}`)}] }`;
const opened = page => page.locator('.opened');
const view = page => page.locator('.opened .view');
const way = (page, name) => opened(page).getByRole('button', { name, exact: true }).click();
const open = (page, which, n) => entry(page, which, n).locator('.opener').click();

/** Presses a button, and the name and bytes of what the browser then saves. */
async function saved(page, act) {
  const [download] = await Promise.all([page.waitForEvent('download'), act()]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

/** What a button has copied. */
async function copied(page, act) {
  // What was said of the one before stands there for some seconds.
  await page.evaluate(() => $('said').textContent = '');
  await act();
  await says(page.locator('#said'), /^Copied /);
  return page.evaluate(() => navigator.clipboard.readText());
}

const clipboard = { permissions: ['clipboard-read', 'clipboard-write'], acceptDownloads: true };

check('JSON opens as it was sent, pretty-printed and folded', async ({ page }) => {
  await connect(page, '/echo');
  await field(page).fill(DOCUMENT);
  await press(page, 'Send Ctrl+Enter');
  await entry(page, 'in', 0).waitFor();
  await open(page, 'in', 0);
  // What no parser of JavaScript would keep is as it was.
  await says(view(page), /"id": 12345678901234567890\n"twice": 1\n"twice": 2\n"text": "a \\"b\\" ü \{\[,"/);
  await says(view(page), /"empty": \[\n\[\]\n\{\}\n\]/);
  assert.equal(await view(page).getByText('entry 3', { exact: false }).locator('visible=true').count(), 0);
  await view(page).locator('summary', { hasText: '"list"' }).click();
  await view(page).locator('summary', { hasText: '"i": 199,' }).waitFor();
  assert.equal(await view(page).locator('summary', { hasText: '"i": 200,' }).count(), 0);
  await view(page).getByRole('button', { name: 'Show 200 more' }).click();
  await view(page).getByRole('button', { name: 'Show 200 more' }).click();
  await view(page).locator('summary', { hasText: '"i": 449,' }).waitFor();
  const pretty = await copied(page, () => way(page, 'Copy'));
  assert.ok(pretty.startsWith('{\n  "id": 12345678901234567890,\n  "twice": 1,\n'), pretty.slice(0, 99));
  assert.deepEqual(JSON.parse(pretty), JSON.parse(DOCUMENT));
  await way(page, 'Text');
  assert.equal(await view(page).locator('pre').textContent(), DOCUMENT);
  const file = await saved(page, () => way(page, 'Save'));
  assert.equal(file.bytes.toString(), DOCUMENT);
  assert.match(file.name, /^message-\d+\.json$/);
  await open(page, 'in', 0);
  assert.equal(await opened(page).count(), 0);
}, clipboard);

check('nonsense that looks like JSON, and JSON that is deep, open too', async ({ page }) => {
  await connect(page, '/echo');
  for (const text of ['{"a":', '[1] [2]', '[', `${'['.repeat(5000)}${']'.repeat(5000)}`, '{}', ' [1]']) await send(page, text);
  await entry(page, 'in', 5).waitFor();
  for (let i = 0; i < 6; i++) await open(page, 'in', i);
  const names = await page.locator('.opened .row').allTextContents();
  assert.deepEqual(names.map(one => /JSON/.test(one)), [false, false, false, true, true, true]);
  await page.locator('.opened').nth(3).getByRole('button', { name: 'Copy' }).click();
  await says(page.locator('#said'), /^Copied message \d+ as JSON$/);
}, clipboard);

check('binary opens as hex beside ASCII, all of it', async ({ page }) => {
  await connect(page, '/echo');
  const bytes = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 31) ^ (i >> 8)));
  await page.getByLabel('File as binary').setInputFiles({ name: 'dump.bin', mimeType: '', buffer: bytes });
  await entry(page, 'in', 0).waitFor();
  await open(page, 'in', 0);
  const line = at => `${at.toString(16).padStart(4, '0')}  ${bytes.subarray(at, at + 16).toString('hex').replace(/..(?!$)/g, '$& ')}`
    + `  ${bytes.subarray(at, at + 16).toString('latin1').replace(/[^ -~]/g, '.')}`;
  let lines = (await view(page).locator('pre').textContent()).split('\n');
  assert.equal(lines.length, 256);
  assert.deepEqual([lines[0], lines[255]], [line(0), line(4080)]);
  await view(page).getByRole('button', { name: /4,096 of 5,000 are shown/ }).click();
  lines = (await view(page).locator('pre').allTextContents()).join('\n').split('\n');
  assert.equal(lines[311], line(4976));
  assert.equal(lines.length, 313);
  assert.equal(await copied(page, () => way(page, 'Copy')), bytes.toString('hex').replace(/..(?!$)/g, '$& '));
  const file = await saved(page, () => way(page, 'Save'));
  assert.ok(file.bytes.equals(bytes));
  await way(page, 'Edit');
  assert.equal(await page.getByLabel('Send as').inputValue(), 'hex');
  await open(page, 'in', 0);
  await open(page, 'out', 0);
  assert.equal((await saved(page, () => way(page, 'Save'))).name, 'dump.bin');
}, clipboard);

check('search and filters choose from all that is kept', async ({ page }) => {
  await connect(page, '/echo');
  // Each echo is there before the next message goes, so that the log has one order only.
  for (const [i, text] of ['alpha 1', 'beta 2', 'Alpha 3', 'a.c-d/e'].entries()) {
    await send(page, text);
    await entry(page, 'in', i).waitFor();
  }
  await page.getByLabel('Send as').selectOption('hex');
  await send(page, 'de ad be ef');
  await entry(page, 'in', 4).waitFor();
  const rows = async (n, fill) => {
    await fill();
    await page.waitForFunction(n => document.querySelectorAll('#log .entry').length === n, n);
    return page.locator('#log .entry code').allTextContents();
  };
  const search = page.getByLabel('Search');
  assert.deepEqual(await rows(4, () => search.fill('alpha')), ['alpha 1', 'alpha 1', 'Alpha 3', 'Alpha 3']);
  await rows(2, () => search.fill('a.c'));
  await rows(2, () => search.fill('.c-d/'));
  await rows(0, () => search.fill('a-c'));
  await rows(2, () => search.fill('ad be'));
  await rows(4, async () => { await search.fill('^[ab].*[23]$'); await page.getByLabel('regular expression').check(); });
  await rows(2, () => page.getByLabel('Show').selectOption('in'));
  // A message that comes now is filtered too.
  await page.getByLabel('Send as').selectOption('text');
  await send(page, 'beta 3');
  await rows(3, () => send(page, 'gamma 3'));
  await search.fill('(');
  await page.waitForFunction(() => document.getElementById('search').validationMessage);
  await rows(7, () => search.fill(''));
  await rows(1, () => page.getByLabel('Type').selectOption('binary'));
  await rows(1, async () => { await page.getByLabel('Type').selectOption(''); await page.getByLabel('Show').selectOption('event'); });
});

check('the log keeps so much, however fast it comes, and shows more when asked', async ({ page, frames }) => {
  await start(page, '/count/6000');
  await says(state(page), /^Closed: 1000/);
  await says(entry(page, 'event', -1), /closed: code 1000/);
  assert.equal(await page.locator('#log .entry').count(), 500);
  assert.equal(await entry(page, 'in', -1).locator('code').textContent(), '6000');
  assert.match(await page.locator('#totals').innerText(), /\u2193 6,000 \(22,893 B\)/);
  assert.deepEqual(frames, Array.from({ length: 6000 }, (_, i) => [false, String(i + 1)]));
  await press(page, 'Show 500 earlier ones');
  assert.equal(await page.locator('#log .entry').count(), 1000);
  await page.getByLabel('Search').fill('2000');
  await says(page.locator('#log'), /2000/);
  const file = await saved(page, async () => { await page.getByLabel('Search').fill(''); await page.waitForFunction(() => document.querySelectorAll('.entry').length > 2); await press(page, 'Save as JSON'); });
  const { log } = JSON.parse(file.bytes);
  assert.equal(log.length, 5000);
  assert.deepEqual([log[0].text, log.at(-2).text], ['1002', '6000']);
  await press(page, 'Clear');
  assert.equal(await page.locator('#log .entry').count(), 0);
}, clipboard);

check('the log stands still while it is paused, and nothing is lost', async ({ page }) => {
  await connect(page, '/tick/2');
  await entry(page, 'in', 0).waitFor();
  await press(page, 'Pause');
  const [shown, next] = [await page.locator('#log .entry').count(), await page.evaluate(() => log.next)];
  await open(page, 'in', 0);
  await view(page).waitFor();
  await page.waitForFunction(next => log.next > next + 100, next);
  assert.equal(await page.locator('#log .entry').count(), shown);
  await press(page, 'Pause');
  // There may be as many as are shown at once, so it is looked at which.
  await page.waitForFunction(next => document.querySelector('#log').lastElementChild.dataset.number > next + 100, next);
  await press(page, 'Disconnect');
  await says(state(page), /^Closed/);
  const texts = await page.locator('#log .in code').allTextContents();
  assert.deepEqual(texts, texts.map((_, i) => String(Number(texts[0]) + i)));
});

check('what is kept is bounded in bytes too', async ({ page }) => {
  await page.evaluate(() => {
    for (let i = 0; i < 100; i++) note({ way: 'in', letter: 'A', kind: 'binary', size: 1 << 20, data: new Uint8Array(1 << 20) });
    note({ way: 'in', letter: 'A', kind: 'text', size: 20 << 20, data: 'x'.repeat(20 << 20) });
  });
  await says(page.locator('#log .entry').last(), /20,971,520 B/);
  assert.deepEqual(await page.evaluate(() => [log.bytes, log.entries.length]), [64 << 20, 33]);
  assert.equal(await page.locator('#log .entry').count(), 33);
  await open(page, 'in', -1);
  await says(page.locator('.opened'), /only the first 16,777,216 bytes were kept/);
  await says(view(page), /Show more: 20,000 of 16,777,216 are shown/);
});

check('the log goes out as JSON', async ({ page }) => {
  await connect(page, '/echo', 'chat');
  await send(page, 'grüße \u2028 \0');
  await entry(page, 'in', 0).waitFor();
  await page.getByLabel('File as binary').setInputFiles({ name: 'x.bin', mimeType: '', buffer: Buffer.from([0, 255]) });
  await entry(page, 'in', 1).waitFor();
  const { name, bytes } = await saved(page, () => press(page, 'Save as JSON'));
  assert.match(name, /^barews-.*\.json$/);
  const { connections, log } = JSON.parse(bytes);
  assert.deepEqual(connections, [{ url: '/echo', subprotocols: 'chat', auto: false }]);
  assert.deepEqual(log.map(({ direction, type, text, base64, file, size }) => ({ direction, type, text, base64, file, size })).slice(1), [
    { direction: 'sent', type: 'text', text: 'grüße \u2028 \0', base64: undefined, file: undefined, size: 13 },
    { direction: 'received', type: 'text', text: 'grüße \u2028 \0', base64: undefined, file: undefined, size: 13 },
    { direction: 'sent', type: 'binary', text: undefined, base64: 'AP8=', file: 'x.bin', size: 2 },
    { direction: 'received', type: 'binary', text: undefined, base64: 'AP8=', file: undefined, size: 2 },
  ]);
  assert.ok(Math.abs(new Date(log[0].time) - Date.now()) < 60_000);
}, clipboard);

/** What the shell makes of a command in which `websocat` shows its words and what it is sent. */
function shell(command) {
  const tool = 'websocat() { printf "<%s>" "$@"; od -An -v -tx1 | tr -d " \\n"; }\n';
  const [, words, sent] = /^(<.*>)([\da-f]*)$/s.exec(execFileSync('sh', ['-c', tool + command], { encoding: 'utf8' }));
  return { words, sent: Buffer.from(sent, 'hex') };
}

check('what was sent goes out as a command, with nothing left to the shell', async ({ page }) => {
  const command = () => copied(page, () => press(page, 'Copy for websocat'));
  const url = `${process.env.PAGE_URL.replace('http', 'ws')}echo?it's=$(id)`;
  await page.getByLabel('URL').fill("/echo?it's=$(id)");
  await page.getByLabel('Subprotocols').fill('chat, v2');
  await field(page).fill("it's `id` $HOME");
  assert.deepEqual(shell(await command()), {
    words: `<--protocol><chat, v2><${new URL(url).href}>`, sent: Buffer.from("it's `id` $HOME\n"),
  });
  await connect(page, '/echo');
  const texts = ['%s \\n \\', "';id;'", '\u001b[201~\u0007\u202e', '', '-n', 'grüße \u{1f600}'];
  for (const text of texts) await send(page, text);
  await entry(page, 'in', texts.length - 1).waitFor();
  const one = await command();
  assert.deepEqual(shell(one).sent.toString(), texts.map(text => `${text}\n`).join(''));
  assert.match(one, /^[^\p{Cc}\p{Cf}]*\n$/u, 'nothing in it acts when it is pasted');
  await send(page, 'two\nlines \0');
  await entry(page, 'in', texts.length).waitFor();
  const lines = shell(await command());
  assert.match(lines.words, /^<-0>/);
  assert.equal(lines.sent.toString(), [...texts, 'two\nlines \0'].map(text => `${text}\0`).join(''));
  await press(page, 'Clear');
  await page.getByLabel('Send as').selectOption('hex');
  await send(page, '00 27 5c ff 0a');
  await entry(page, 'in', 0).waitFor();
  const binary = shell(await command());
  assert.match(binary.words, /^<-b>/);
  assert.deepEqual(binary.sent, Buffer.from([0, 0x27, 0x5c, 0xff, 0x0a]));
}, clipboard);

/** What a command prints, until that matches; then it is stopped. */
async function printed(command, pattern) {
  const insecure = process.env.PAGE_URL.startsWith('https') ? 'curl() { command curl -k "$@"; }\n' : '';
  const shell = spawn('sh', ['-c', insecure + command], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const data of shell.stdout.setEncoding('latin1')) {
    text += data;
    // The shell and what it has started.
    if (pattern.test(text)) process.kill(-shell.pid);
  }
  return text;
}

check('curl shows the answer to the handshake', async ({ page }) => {
  await page.getByLabel('URL').fill("/close/4000?reason=it's");
  await page.getByLabel('Subprotocols').fill('chat');
  const command = await copied(page, () => press(page, 'Copy for curl'));
  assert.match(command, / --max-time 2 /);
  // It waits for more until its time is up, which may be too short for a server that stalls.
  const answer = await printed(command.replace(' --max-time 2 ', ' --max-time 60 '), /\r\n\r\n\x88.*it's/s);
  assert.match(answer, /^HTTP\/1\.1 101 [^]*sec-websocket-protocol: chat\r\n(?:[^\r]+\r\n)*\r\n\x88/i);
}, clipboard);

check('a message of others, where there is no clipboard, is copied the old way', async ({ page }) => {
  await connect(page, '/echo');
  await send(page, 'old way');
  await entry(page, 'in', 0).waitFor();
  await open(page, 'in', 0);
  await way(page, 'Copy');
  await says(page.locator('#said'), /^Copied message/);
  await page.getByLabel('Search').focus();
  await page.keyboard.press('Control+V');
  assert.equal(await page.getByLabel('Search').inputValue(), 'old way');
}, { prepare: page => page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined })) });
