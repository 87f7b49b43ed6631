// The reactions of Chromium: the events that a page gets, and the line that its console shows. The arguments are the
// server's URL and the file of cases, CHROMIUM is the program; what comes of each is a line of JSON on standard output.
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [server, file] = process.argv.slice(2);
const print = value => console.log(JSON.stringify(value));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // As root there is no sandbox, and a container's /dev/shm is small.
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--disable-sync'],
});

/** Runs in the page. */
const tryOut = item => new Promise(resolve => {
  const result = { connected: false };
  const socket = new WebSocket(item.url, item.offers ?? []);
  socket.onopen = () => {
    result.connected = true;
    socket.send('hello');
  };
  socket.onmessage = ({ data }) => {
    result.echo = data === (item.first ?? 'hello');
    socket.onclose = null;
    socket.close();
    resolve(result);
  };
  socket.onclose = ({ code, reason }) => resolve({ ...result, code, reason });
});

print({ version: browser.version().split('.')[0] });
for (const item of JSON.parse(readFileSync(file, 'utf8'))) {
  // A page of its own for each: Chromium makes those wait that have failed often.
  const context = await browser.newContext();
  const page = await context.newPage();
  const said = new Promise(resolve => {
    page.on('console', message => {
      const [, says] = message.text().match(/^WebSocket connection to '.*?' failed: ?(.*)$/s) ?? [];
      if (says !== undefined) resolve(says);
    });
  });
  // Of an address like the server's, else Chromium lets a page not connect to this machine.
  await page.goto(server.replace('ws://', 'http://') + '/healthz');
  const start = performance.now();
  const url = server.replace('://', `://${item.userinfo ?? ''}`) + item.path;
  const result = await page.evaluate(tryOut, { ...item, url });
  const seconds = (performance.now() - start) / 1000;
  const says = result.connected ? '' : await said; // it may come after the event
  print({ case: item.name, seconds, ...result, says });
  await context.close();
}
await browser.close();
