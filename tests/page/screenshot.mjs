// Takes the README's picture of the page to the file that the argument names.
import { statSync } from 'node:fs';
import { browser, connect, entry, says, send, visit } from './browser.mjs';

const file = process.argv[2];
const TEXTS = [
  '{"type":"subscribe","channel":"ticker","id":7}',
  'Grüße aus dem Browser → und zurück',
];

// Twice the pixels, unless the picture gets too large for a README.
for (const deviceScaleFactor of [2, 1]) {
  const { page, close } = await visit({ deviceScaleFactor, colorScheme: 'light' });
  await connect(page, await page.getByLabel('URL').inputValue());
  await page.getByLabel('Ping each second').check();
  for (let i = 1; i <= 116; i++) {
    await send(page, `message ${i}`);
    await entry(page, 'in', i - 1).waitFor();
  }
  await page.getByLabel('Send file').setInputFiles({
    name: 'pixel', mimeType: '', buffer: Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 37 + (i >> 4)) & 255)),
  });
  await entry(page, 'in', 116).waitFor();
  for (const text of TEXTS) await send(page, text);
  await says(page.locator('#pings'), /\s(\d{2,}|[3-9])\s/);
  await page.evaluate(() => document.activeElement.blur());
  await page.screenshot({ path: file });
  await close();
  if (statSync(file).size < 300_000) break;
}
await browser.close();
