// What the tests and the screenshot share: the browser, a page that is watched, and its controls.
// PAGE_URL is the page, CHROMIUM the browser's program, and CERTIFICATE_PIN the hash of the key of a certificate that
// it is to trust.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chromium } from 'playwright-core';

// Whatever is waited for comes within this, in milliseconds, on a machine that is busy and stalls, too.
const PATIENCE = 30_000;

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // As root there is no sandbox, and a container's /dev/shm is small.
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--disable-sync',
    ...process.env.CERTIFICATE_PIN ? [`--ignore-certificate-errors-spki-list=${process.env.CERTIFICATE_PIN}`] : [],
  ],
});

/**
 * Opens the page. `wrong` collects whatever the browser complains of, `frames` what passes over its
 * WebSocket connections: [sent?, string or Buffer].
 */
export async function visit({ hash = '', prepare, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  await prepare?.(page);
  const wrong = [], frames = [];
  page.on('console', message => ['error', 'warning'].includes(message.type()) && wrong.push(message.text()));
  page.on('pageerror', error => wrong.push(String(error)));
  page.on('websocket', socket => {
    socket.on('framesent', frame => frames.push([true, frame.payload]));
    socket.on('framereceived', frame => frames.push([false, frame.payload]));
  });
  await page.exposeFunction('violated', what => wrong.push(`CSP: ${what}`));
  await page.addInitScript(() => addEventListener('securitypolicyviolation', event => violated(event.violatedDirective)));
  // The page waits as long for an answer as people do, and a machine may stand still for longer.
  await page.addInitScript(() => {
    const timeout = AbortSignal.timeout;
    AbortSignal.timeout = ms => timeout.call(AbortSignal, 10 * ms);
  });
  const response = await page.goto(process.env.PAGE_URL + hash);
  return { page, wrong, frames, response, close: () => context.close() };
}

/** The controls of connection number `n`, and what it says of itself. */
export const row = (page, n = 0) => page.locator('.connection').nth(n);
export const state = (page, n = 0) => row(page, n).locator('.state');
export const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

/** Fills in connection number `n` and presses Connect. */
export async function start(page, url, subprotocols = '', n = 0) {
  await row(page, n).getByLabel('URL').fill(url);
  await row(page, n).getByLabel('Subprotocols').fill(subprotocols);
  await row(page, n).getByRole('button', { name: 'Connect', exact: true }).click();
}

/** The same, until it is open. */
export async function connect(page, url, subprotocols = '', n = 0) {
  await start(page, url, subprotocols, n);
  await row(page, n).locator('.state.open').waitFor();
}

/** The field of a message's text. */
export const field = page => page.getByRole('textbox', { name: 'Message' });

/** Types a text and sends it with Ctrl+Enter. */
export async function send(page, text) {
  await field(page).fill(text);
  await page.keyboard.press('Control+Enter');
}

/** The log's entry number `n` of a kind ('in', 'out', 'event', 'bad') from its start, or its end if negative. */
export function entry(page, kind, n) {
  return page.locator(`#log .${kind}`).nth(n);
}

/** Waits until an element's text matches. */
export async function says(locator, pattern) {
  const deadline = Date.now() + PATIENCE;
  let text;
  do {
    // An entry that is out of sight is not laid out, and has no innerText.
    text = await locator.evaluate(one => one.innerText || one.textContent);
    if (pattern.test(text)) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  } while (Date.now() < deadline);
  assert.match(text, pattern);
}

/** Waits until `act` says so. */
export async function until(act) {
  const deadline = Date.now() + PATIENCE;
  while (!await act()) {
    assert.ok(Date.now() < deadline, `still not so: ${act}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

/**
 * A test with a page of its own. It fails too if the browser complains of anything (an error, a warning,
 * a breach of the Content-Security-Policy) but what is `expected`.
 */
export function check(name, act, { expected, ...options } = {}) {
  test(name, { timeout: 3 * PATIENCE }, async () => {
    const visited = await visit(options);
    try {
      await act(visited);
      assert.deepEqual(visited.wrong.filter(what => !expected?.test(what)), []);
    } finally {
      await visited.close();
    }
  });
}
