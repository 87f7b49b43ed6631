// Takes pictures of the page into the folder that the argument names: the README's page.png, and those in which what
// no test sees is looked at.
import { join } from 'node:path';
import { browser, connect, entry, press, row, says, state, visit } from './browser.mjs';

const folder = process.argv[2];
const TICKER = JSON.stringify({
  type: 'ticker', id: 7, pair: 'EUR/USD', bid: 1.0842, ask: 1.0843, book: [[1.0841, 500000], [1.084, 750000]], halted: false, note: null,
});
const PIXELS = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 37 + (i >> 4)) & 255));

// Not by the keyboard: a browser draws what a key did before it hands over an echo, and without a
// graphics card that takes longer than the echo.
function submit(page, text) {
  return page.evaluate(text => {
    document.getElementById('text').value = text;
    document.getElementById('message').requestSubmit();
  }, text);
}

/** A session with something of everything. */
async function converse(page, messages) {
  await connect(page, '/echo');
  await page.locator('.path').first().waitFor({ state: 'attached' });
  await page.getByLabel('Ping each second').check();
  for (let i = 1; i <= messages; i++) {
    await submit(page, `message ${i}`);
    await entry(page, 'in', i - 1).waitFor();
  }
  await press(page, 'Clear');
  await submit(page, 'Grüße aus dem Browser → und zurück');
  await page.getByLabel('File as binary').setInputFiles({ name: 'pixels.bin', mimeType: '', buffer: PIXELS });
  await entry(page, 'in', 1).waitFor();
  await submit(page, TICKER);
  await says(entry(page, 'in', -1).locator('code'), /ticker/);
  await press(page, 'Save');
}

async function take(page, name, options = {}) {
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement.blur());
  await page.waitForFunction(() => document.getElementById('said').textContent === '' || (document.getElementById('said').textContent = '', false));
  await page.screenshot({ path: join(folder, `${name}.png`), ...options });
}

const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 320, height: 740 }, hasTouch: true, isMobile: true };

{
  const { page, close } = await visit({ viewport: { width: 1280, height: 1330 }, deviceScaleFactor: 2, colorScheme: 'light' });
  await converse(page, 110);
  await entry(page, 'in', 2).locator('.opener').click();
  await page.locator('#log').evaluate(log => { log.scrollTop = log.scrollHeight; scrollTo(0, 0); });
  await take(page, 'page');
  await close();
}
for (const [name, options] of Object.entries({
  'page-dark': { ...DESKTOP, colorScheme: 'dark' }, 'page-forced-colours': { ...DESKTOP, forcedColors: 'active', colorScheme: 'dark' }, 'page-phone': PHONE,
})) {
  const { page, close } = await visit(options);
  await converse(page, 10);
  await take(page, name, { fullPage: true });
  if (name === 'page-phone') {
    await entry(page, 'in', 1).locator('.opener').click();
    await page.locator('.opened').scrollIntoViewIfNeeded();
    await take(page, 'page-phone-hex');
  }
  await close();
}
{
  const { page, close } = await visit({ ...DESKTOP, colorScheme: 'light' });
  await connect(page, '/echo');
  await page.getByLabel('File as binary').setInputFiles({ name: 'pixels.bin', mimeType: '', buffer: PIXELS });
  await entry(page, 'in', 0).waitFor();
  await entry(page, 'in', 0).locator('.opener').click();
  await page.locator('.opened').scrollIntoViewIfNeeded();
  await take(page, 'page-hex');
  await close();
}
{
  const { page, close } = await visit({ ...DESKTOP, colorScheme: 'light', hash: '#url=/broadcast/lobby&url=/broadcast/lobby&subprotocols=chat' });
  for (const n of [0, 1]) await connect(page, '/broadcast/lobby', n ? 'chat' : '', n);
  await press(page, 'Add a connection');
  await row(page, 2).getByLabel('URL').fill('/status/429');
  await row(page, 2).getByRole('button', { name: 'Connect', exact: true }).click();
  await says(entry(page, 'bad', 0), /429/);
  for (const [n, text] of [[0, 'Who is here?'], [1, 'I am, with a subprotocol.'], [0, 'And the other one was refused.']]) {
    await row(page, n).getByRole('radio').check();
    await submit(page, text);
    await page.locator('#log .in', { hasText: text }).nth(1).waitFor();
  }
  await press(page, 'Side by side');
  await says(state(page, 2), /^Not connected$/);
  await page.locator('#log').scrollIntoViewIfNeeded();
  await take(page, 'page-side-by-side');
  await close();
}
await browser.close();
