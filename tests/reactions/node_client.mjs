// The reactions of ws, of undici (which is the WebSocket of Node.js) and of Bun's own. The arguments are which one, the
// server's URL and the file of cases; what comes of each is a line of JSON on standard output.
import { readFileSync } from 'node:fs';

const [kind, server, file] = process.argv.slice(2);
const url = item => server.replace('://', `://${item.userinfo ?? ''}`) + item.path;
const print = value => console.log(JSON.stringify(value));

/** What comes of a connection by the API that browsers have too. */
function tryOut(WebSocket, item) {
  return new Promise(resolve => {
    const result = { connected: false };
    let socket;
    try {
      socket = new WebSocket(url(item), item.offers ?? []);
    } catch (error) {
      resolve({ connected: false, says: `${error.name}: ${error.message}` });
      return;
    }
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
    socket.onerror = event => {
      result.says ??= [event.message, event.error?.message].find(text => text) ?? '';
      const cause = event.error?.cause?.message;
      if (cause) result.says += ` (by ${cause})`;
    };
    socket.onclose = ({ code, reason }) => resolve({ ...result, code, reason });
  });
}

/** What ws shows of an answer to those who ask for it. */
function seen(WebSocket, item) {
  return new Promise(resolve => {
    const socket = new WebSocket(url(item), item.offers ?? []);
    socket.on('unexpected-response', (request, response) => {
      const { statusCode, headers } = response;
      let body = false;
      response.on('data', () => body = true);
      response.on('end', () => resolve({ status: statusCode, headers: 'retry-after' in headers, body }));
    });
    socket.on('error', () => resolve());
  });
}

let WebSocket, version;
if (kind === 'bun') {
  WebSocket = globalThis.WebSocket;
  version = Bun.version;
} else {
  WebSocket = (await import(kind)).WebSocket;
  version = JSON.parse(readFileSync(new URL(`node_modules/${kind}/package.json`, import.meta.url))).version;
}
print({ version });
for (const item of JSON.parse(readFileSync(file, 'utf8'))) {
  const start = performance.now();
  const result = await tryOut(WebSocket, item);
  const seconds = (performance.now() - start) / 1000;
  if (kind === 'ws' && item.path.startsWith('/status/') && !result.connected) result.seen = await seen(WebSocket, item);
  print({ case: item.name, seconds, ...result });
}
process.exit();
