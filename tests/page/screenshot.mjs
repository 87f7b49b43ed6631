// Takes the README's picture of the page to the file that the argument names.
import { browser, connect, entry, says, visit } from './browser.mjs';

const file = process.argv[2];
const TEXTS = [
  '{"type":"subscribe","channel":"ticker","id":7}',
  'Grüße aus dem Browser → und zurück',
];

// Not by the keyboard: a browser draws what a key did before it hands over an echo, and without a
// graphics card that takes longer than the echo.
function submit(page, text) {
  return page.evaluate(text => {
    document.getElementById('text').value = text;
    document.getElementById('message').requestSubmit();
  }, text);
}

const { page } = await visit({ deviceScaleFactor: 2, colorScheme: 'light' });
await connect(page, await page.getByLabel('URL').inputValue());
await page.getByLabel('Ping each second').check();
for (let i = 1; i <= 110; i++) {
  await submit(page, `message ${i}`);
  await entry(page, 'in', i - 1).waitFor();
}
await page.getByLabel('Send file').setInputFiles({
  name: 'pixel', mimeType: '', buffer: Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 37 + (i >> 4)) & 255)),
});
await entry(page, 'in', 110).waitFor();
for (const text of TEXTS) await submit(page, text);
await says(entry(page, 'in', -1).locator('code'), /zurück/);
await page.mouse.move(0, 0);
await page.evaluate(() => document.activeElement.blur());
await page.screenshot({ path: file });
await browser.close();
