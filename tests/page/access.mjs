// The page without a mouse, in the dark, on a phone, and for eyes that need contrast.
import assert from 'node:assert/strict';
import { check, connect, entry, says, send } from './browser.mjs';

/** What has the focus: its id, or path, or text; and whether it shows that it has it. */
function focused(page) {
  return page.evaluate(() => {
    const at = document.activeElement;
    const ringed = [at, at.closest('.button')].some(one => one && getComputedStyle(one).outlineStyle !== 'none');
    return { name: at.id || at.dataset.path || at.getAttribute('href') || at.innerText, ringed };
  });
}

/** Presses Tab until the focus is at `name`. */
async function tabTo(page, name) {
  const passed = [];
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const at = await focused(page);
    assert.ok(at.ringed, `${at.name} has no focus ring`);
    if (at.name === name) return passed;
    passed.push(at.name);
  }
  assert.fail(`Tab does not lead to ${name} but to ${passed}`);
}

check('all of a session with the keyboard alone', async ({ page, frames }) => {
  const { keyboard } = page;
  const choosing = page.waitForEvent('filechooser', { timeout: 20_000 });
  assert.deepEqual(await tabTo(page, 'protocols'), ['url']);
  await keyboard.press('Enter'); // connects from any field of the form
  await page.locator('#state.open').waitFor();
  assert.deepEqual(await tabTo(page, 'text'), ['toggle']);
  await keyboard.press('Control+A');
  await keyboard.type('by keys');
  await keyboard.press('Control+Enter');
  await says(entry(page, 'in', 0).locator('code'), /^by keys$/);
  assert.deepEqual(await tabTo(page, 'file'), ['as']);
  await keyboard.press('Enter');
  await (await choosing).setFiles({ name: 'x', mimeType: '', buffer: Buffer.from([1, 2, 3]) });
  await says(entry(page, 'in', 1).locator('code'), /^01 02 03$/);
  assert.deepEqual(frames.filter(([sent]) => sent).map(([, payload]) => payload), ['by keys', Buffer.from([1, 2, 3])]);
  // A long log is scrolled with the arrows.
  assert.deepEqual(await tabTo(page, 'log'), ['Send Ctrl+Enter', 'clear']);
  await tabTo(page, 'ping');
  await keyboard.press('Space');
  await says(page.locator('#pings'), /\s[1-9]\d*\s+[1-9]/);
  await tabTo(page, 'code');
  await keyboard.press('Control+A');
  await keyboard.type('4001');
  await tabTo(page, 'reason');
  await keyboard.type('done');
  await keyboard.press('Enter');
  await says(page.locator('#state'), /^Closed: 4001 \u201cdone\u201d$/);
  // From a path's button the focus goes to Connect.
  await tabTo(page, 'count/10');
  await keyboard.press('Enter');
  await keyboard.press('Enter');
  await says(page.locator('#state'), /^Closed: 1000/);
});

check('Tab reaches every control', async ({ page }) => {
  await connect(page, '/echo');
  await page.getByLabel('URL').focus();
  const reached = ['url', ...await tabTo(page, 'metrics')];
  const all = await page.locator('input, select, textarea, button, a').evaluateAll(
    controls => controls.map(one => one.id || one.dataset.path || one.getAttribute('href') || one.innerText));
  assert.deepEqual(all.filter(name => name !== 'metrics' && !reached.includes(name)), []);
  assert.ok(all.length > 30);
});

check('every control has a name, and what changes is announced', async ({ page }) => {
  const nameless = await page.locator('input, select, textarea, button, a').evaluateAll(controls => controls
    .filter(one => !(one.labels?.[0] ?? one).innerText.trim()).map(one => one.outerHTML));
  assert.deepEqual(nameless, []);
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  await page.getByRole('log', { name: /Messages/ }).waitFor();
  await page.getByRole('status').waitFor();
  await page.getByRole('img', { name: 'No round trips yet' }).waitFor();
  await connect(page, '/echo');
  await send(page, 'x');
  await page.getByRole('img', { name: /Chart of the last 1 round trip,/ }).waitFor();
  await page.getByRole('img', { name: 'received' }).waitFor();
});

/** The texts whose contrast with what is behind them is below WCAG's AA, 4.5 to 1. */
function faint() {
  const light = color => {
    const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map(Number)
      .map(c => c / 255 <= .04045 ? c / 255 / 12.92 : ((c / 255 + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = one => {
    const color = getComputedStyle(one).backgroundColor;
    return color === 'rgba(0, 0, 0, 0)' ? behind(one.parentElement) : color;
  };
  const ownText = one => [...one.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const texts = [...document.querySelectorAll('body *:not(script, noscript, option)')].filter(one => one.value || ownText(one));
  const ratio = one => {
    const [low, high] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  };
  return { looked: texts.length, faint: texts.filter(one => ratio(one) < 4.5).map(one => `${one.outerHTML} ${ratio(one)}`) };
}

for (const colorScheme of ['light', 'dark']) {
  check(`contrast in the ${colorScheme}`, async ({ page }) => {
    await connect(page, '/echo');
    await send(page, 'x'.repeat(1000));
    await entry(page, 'in', 0).waitFor();
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByLabel('Subprotocols').fill('not a token');
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await entry(page, 'bad', 0).waitFor();
    const { looked, faint: found } = await page.evaluate(faint);
    assert.deepEqual(found, []);
    assert.ok(looked > 90, `${looked} texts`);
    const ink = await page.evaluate(() => getComputedStyle(document.body).color);
    assert.equal(Number(ink.match(/\d+/)[0]) > 127, colorScheme === 'dark', ink);
  }, { colorScheme });
}

for (const width of [320, 360, 800]) {
  check(`nothing scrolls sideways ${width} px wide`, async ({ page }) => {
    await connect(page, '/close/4000?reason=' + 'r'.repeat(60) + '&after=2');
    await send(page, 'x'.repeat(2000));
    await page.getByLabel('Send file').setInputFiles({ name: 'x', mimeType: '', buffer: Buffer.alloc(1 << 20) });
    await says(page.locator('#state'), /^Closed/);
    const widths = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll('section, #log, dl')]
      .map(one => [one.clientWidth, one.scrollWidth]));
    assert.deepEqual(widths.filter(([has, takes]) => takes > has), []);
    // Fingers need 44 px.
    const low = await page.locator('button, .button').evaluateAll(all => all.filter(one => one.offsetHeight < 44).map(one => one.innerText));
    if (width < 640) assert.deepEqual(low, []);
  }, { viewport: { width, height: 740 }, hasTouch: true, isMobile: true });
}
