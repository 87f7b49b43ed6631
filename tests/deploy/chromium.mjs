// Opens the page through a proxy (PAGE_URL), and then a WebSocket from it (WS_PATH): text and binary,
// compressed, and a close with 4001. Fails if anything differs. The page's own HTTP/2 connection is there by
// then, and that is when Chromium sends a WebSocket through it.
import assert from 'node:assert/strict';
import { browser, visit } from '../page/browser.mjs';

try {
  // The certificate is the run's own.
  const { page, response } = await visit({ ignoreHTTPSErrors: true });
  assert.equal(response.status(), 200);
  const seen = await page.evaluate(path => new Promise(resolve => {
    const seen = [];
    const socket = new WebSocket(new URL(path, location.href.replace('http', 'ws')));
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      socket.send('grüße 👋');
      socket.send(new Uint8Array(100_000).fill(7));
    };
    socket.onmessage = ({ data }) => {
      seen.push(typeof data === 'string' ? data : [data.byteLength, new Uint8Array(data).every(byte => byte === 7)]);
      if (seen.length === 2) socket.close(4001, 'mirrored');
    };
    socket.onclose = ({ code, reason, wasClean }) => resolve([...seen, socket.extensions, code, reason, wasClean]);
    setTimeout(() => resolve([...seen, 'no more within 30 s']), 30_000);
  }), process.env.WS_PATH);
  assert.deepEqual(seen, ['grüße 👋', [100_000, true], 'permessage-deflate; client_max_window_bits=12', 4001, 'mirrored', true]);
} finally {
  await browser.close();
}
