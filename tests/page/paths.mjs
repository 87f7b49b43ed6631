// The list of paths, which is made of the server's table.
import assert from 'node:assert/strict';
import { check, row, state } from './browser.mjs';

check('every path is there with its bounds, an example, and a button that fills it in', async ({ page }) => {
  await page.locator('.path').first().waitFor();
  const table = await (await page.request.get(new URL('/paths.json', page.url()).href)).json();
  assert.deepEqual((await page.locator('.path dt code').allTextContents()).sort(), table.map(one => one.path).sort());
  for (const { path, does, bounds, example, output } of table) {
    const shown = page.locator('.path').filter({ has: page.getByText(path, { exact: true }) });
    const text = await shown.textContent();
    assert.ok(text.includes(does) && text.includes(bounds), path);
    // It is for this server as it is here.
    const { host, protocol } = new URL(page.url());
    const here = example.replaceAll('127.0.0.1:9001', host).replace(/\b(ws|http):\/\//g, protocol === 'https:' ? '$1s://' : '$1://');
    assert.ok(text.includes(here), path);
    if (output) assert.ok(text.includes(output), path);
  }
  for (const button of await page.locator('.try').all()) {
    await button.click();
    const path = await button.getAttribute('data-path');
    assert.equal(await row(page).getByLabel('URL').inputValue(), path);
    assert.ok(await page.evaluate(() => document.activeElement.classList.contains('toggle')));
  }
  assert.ok(await page.locator('.try').count() >= 10);
  assert.match(await state(page).innerText(), /^Not connected$/);
});

check('without the table the page works', async ({ page }) => {
  await page.getByText('barews --help paths has it').waitFor();
}, { prepare: page => page.route('**/paths.json', route => route.fulfill({ body: '<html>' })) });
