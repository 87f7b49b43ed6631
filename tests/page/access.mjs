// The page without a mouse, in the dark, on a phone, and for eyes that need contrast.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { check, connect, entry, press, row, says, send, state } from './browser.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What has the focus: its id, or path, or text; and whether it shows that it has it. */
function focused(page) {
  return page.evaluate(() => {
    const at = document.activeElement;
    if (at === document.body) return { name: 'the end', ringed: true };
    const ringed = [at, at.closest('.button')].some(one => one && getComputedStyle(one).outlineStyle !== 'none');
    return { name: at.id || at.getAttribute('aria-label') || at.getAttribute('href') || at.classList[0] || at.innerText, ringed };
  });
}

/** Presses Tab until the focus is at `name`. */
async function tabTo(page, name) {
  const passed = [];
  for (let i = 0; i < 300; i++) {
    await page.keyboard.press('Tab');
    const at = await focused(page);
    assert.ok(at.ringed, `${at.name} has no focus ring after ${passed}`);
    if (at.name === name) return passed;
    passed.push(at.name);
  }
  assert.fail(`Tab does not lead to ${name} but to ${passed}`);
}

check('all of a session with the keyboard alone', async ({ page, frames }) => {
  const { keyboard } = page;
  const choosing = page.waitForEvent('filechooser');
  assert.deepEqual(await tabTo(page, 'url'), ['add', 'link']);
  await keyboard.press('Enter'); // connects from any field of the form
  await page.locator('.state.open').waitFor();
  assert.deepEqual(await tabTo(page, 'text'), ['subprotocols', 'toggle', 'again', 'auto']);
  await keyboard.press('Control+A');
  await keyboard.type('by keys');
  await keyboard.press('Control+Enter');
  await says(entry(page, 'in', 0).locator('code'), /^by keys$/);
  assert.deepEqual(await tabTo(page, 'file-binary'), ['as']);
  await keyboard.press('Enter');
  await (await choosing).setFiles({ name: 'x', mimeType: '', buffer: Buffer.from([1, 2, 3]) });
  await says(entry(page, 'in', 1).locator('code'), /^01 02 03/);
  assert.deepEqual(frames.filter(([sent]) => sent).map(([, payload]) => payload), ['by keys', Buffer.from([1, 2, 3])]);
  // In the log the arrows go from message to message, and Enter opens one.
  await tabTo(page, 'log');
  await keyboard.press('ArrowUp');
  await keyboard.press('Enter');
  await says(page.locator('.opened .hex'), /01 02 03 +\.\.\.$/);
  assert.deepEqual(await tabTo(page, 'Message 5'), ['Hex', 'Text', 'Copy', 'Save', 'Edit']);
  await page.locator('#log').focus();
  await keyboard.press('Home');
  assert.equal((await focused(page)).name, 'Message 2');
  await tabTo(page, 'code');
  await keyboard.press('Control+A');
  await keyboard.type('4001');
  await tabTo(page, 'reason');
  await keyboard.type('done');
  await keyboard.press('Enter');
  await says(state(page), /^Closed: 4001 \u201cdone\u201d$/);
  // From a path's button the focus goes to Connect.
  await tabTo(page, await page.locator('.try').nth(1).getAttribute('aria-label'));
  await keyboard.press('Enter');
  assert.equal((await focused(page)).name, 'toggle');
});

check('Tab reaches every control', async ({ page }) => {
  await connect(page, '/echo');
  await page.locator('.path').first().waitFor();
  await press(page, 'Save');
  await page.locator('body').click({ position: { x: 1, y: 1 } });
  const reached = await tabTo(page, 'the end');
  const all = await page.locator('input, select, textarea, button, a, summary').evaluateAll(controls => controls
    .filter(one => one.checkVisibility() && one.tabIndex >= 0)
    .map(one => one.id || one.getAttribute('aria-label') || one.getAttribute('href') || one.classList[0] || one.innerText));
  assert.deepEqual(all.filter(name => !reached.includes(name)), []);
  assert.ok(all.length > 40, `${all.length}`);
});

check('what changes is announced', async ({ page }) => {
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  await page.getByRole('log', { name: /Messages/ }).waitFor();
  await page.getByRole('img', { name: 'No round trips yet' }).waitFor();
  await connect(page, '/echo');
  await page.getByRole('status').filter({ hasText: 'Connected to /echo' }).waitFor();
  await send(page, 'x');
  await page.getByRole('img', { name: /Chart of the last 2 round trips,/ }).waitFor();
  await page.getByRole('img', { name: 'received' }).waitFor();
});

/** Brings the page to where it has most of what it can show. */
async function fill(page) {
  await press(page, 'Add a connection');
  await connect(page, '/echo', '', 1);
  await connect(page, '/echo');
  await send(page, JSON.stringify({ text: 'x'.repeat(1000), list: [1, null, { a: [] }] }));
  await press(page, 'Save');
  await page.getByLabel('File as binary').setInputFiles({ name: 'x'.repeat(100), mimeType: '', buffer: Buffer.alloc(5000) });
  await row(page, 0).getByRole('radio').check();
  await page.getByLabel('File as binary').setInputFiles({ name: 'x'.repeat(100), mimeType: '', buffer: Buffer.alloc(5000) });
  await entry(page, 'in', 1).waitFor();
  for (let i = 0; i < 2; i++) await entry(page, 'in', i).locator('.opener').click();
  await row(page, 1).getByLabel('Subprotocols').fill('not a token');
  await row(page, 1).getByRole('button', { name: 'Reconnect', exact: true }).click();
  await entry(page, 'bad', 0).waitFor();
  await page.locator('.path').first().waitFor({ state: 'attached' });
  await page.evaluate(() => document.querySelectorAll('#groups details').forEach(one => one.open = true));
}

const themes = { light: { colorScheme: 'light' }, dark: { colorScheme: 'dark' }, phone: { viewport: { width: 320, height: 740 }, hasTouch: true, isMobile: true } };
for (const [theme, options] of Object.entries(themes)) {
  check(`axe finds nothing: ${theme}`, async ({ page }) => {
    await fill(page);
    await page.evaluate(AXE);
    const { violations, passes } = await page.evaluate(() => axe.run({ resultTypes: ['violations'] }));
    assert.deepEqual(violations.flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.html} ${node.failureSummary}`)), []);
    assert.ok(passes.length > 30, `${passes.length} rules`);
  }, options);
}

check('in forced colours what is chosen and what is open is seen without ours', async ({ page }) => {
  await connect(page, '/echo');
  const look = selector => page.locator(selector).first().evaluate(one => [getComputedStyle(one).backgroundColor, getComputedStyle(one, '::before').backgroundColor]);
  const open = await look('.state');
  await press(page, 'Pause');
  assert.notDeepEqual(await look('#pause'), await look('#clear'));
  await press(page, 'Disconnect');
  await says(state(page), /^Closed/);
  assert.notDeepEqual(await look('.state'), open);
}, { forcedColors: 'active' });

check('nothing moves for whom that is too much', async ({ page }) => {
  const moving = await page.evaluate(() => [...document.querySelectorAll('*')].filter(one => parseFloat(getComputedStyle(one).transitionDuration) > 0).length);
  assert.equal(moving, 0);
}, { reducedMotion: 'reduce' });

for (const width of [320, 360, 800]) {
  check(`nothing scrolls sideways ${width} px wide`, async ({ page }) => {
    // On a phone the paths are folded, for they are longer than all the rest.
    await page.locator('.path').first().waitFor({ state: width > 640 ? 'visible' : 'hidden' });
    await fill(page);
    const widths = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll('section, #log, dl, .connection, .view')]
      .filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth).map(one => `${one.id || one.className || one.tagName} ${one.scrollWidth} > ${one.clientWidth}`));
    assert.deepEqual(widths, []);
    // Fingers need 44 px.
    const low = await page.locator('button, .button').evaluateAll(all => all.filter(one => one.checkVisibility() && one.offsetHeight < 44).map(one => one.innerText));
    if (width < 640) assert.deepEqual(low, []);
  }, { viewport: { width, height: 740 }, hasTouch: true, isMobile: true });
}
