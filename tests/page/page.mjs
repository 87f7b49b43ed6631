// The tests of the page in a real browser, in one process with one browser; tests/page/run runs them.
import { after } from 'node:test';
import { browser } from './browser.mjs';
import './functions.mjs';
import './messages.mjs';
import './sessions.mjs';
import './paths.mjs';
import './access.mjs';

after(() => browser.close());
