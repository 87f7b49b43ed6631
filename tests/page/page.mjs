// The tests of the page in a real browser, in one process with one browser; tests/page/run runs them.
import { after } from 'node:test';
import { browser } from './browser.mjs';
import './functions.mjs';
import './sessions.mjs';
import './paths.mjs';

// How a message is shown, and for whom the page can be used, is the same with compression and over TLS.
if (!process.env.EXTENSIONS && process.env.PAGE_URL.startsWith('http:')) {
  await import('./messages.mjs');
  await import('./access.mjs');
}

after(() => browser.close());
