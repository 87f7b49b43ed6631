// Which clients try again by themselves after a refusal, and how soon: reconnecting-websocket, graphql-ws and mqtt, as
// they come, all on ws. The arguments are which one, the server's URL and the file of cases; what comes of each is a
// line of JSON on standard output.
import { readFileSync } from 'node:fs';
import { createClient } from 'graphql-ws';
import mqtt from 'mqtt';
import ReconnectingWebSocket from 'reconnecting-websocket';
import WebSocket from 'ws';

const [kind, server, file] = process.argv.slice(2);
// Much longer than any of them waits for a second try: milliseconds.
const WAIT = 30_000;

const start = {
  'reconnecting-websocket': (url, Counted) => new ReconnectingWebSocket(url, [], { WebSocket: Counted }),
  'graphql-ws': (url, Counted) => createClient({ url, webSocketImpl: Counted, lazy: false, onNonLazyError: () => {} }),
  mqtt: (url, Counted) => {
    const createWebsocket = (_, protocols) => new Counted(url, protocols);
    mqtt.connect(url, { createWebsocket }).on('error', () => {});
  },
}[kind];

/** The times of the first two tries; the second may never come. */
function tries(item) {
  return new Promise(resolve => {
    const times = [];
    class Counted extends WebSocket {
      constructor(...args) {
        super(...args);
        this.on('error', () => {});
        times.push(performance.now());
        if (times.length === 2) resolve(times);
      }
    }
    start(server + item.path, Counted);
    setTimeout(() => resolve(times), WAIT);
  });
}

const { version } = JSON.parse(readFileSync(new URL(`node_modules/${kind}/package.json`, import.meta.url)));
console.log(JSON.stringify({ version }));
await Promise.all(JSON.parse(readFileSync(file, 'utf8')).map(async item => {
  const [first, second] = await tries(item);
  const retries = second !== undefined;
  console.log(JSON.stringify({ case: item.name, retries, waited: retries ? (second - first) / 1000 : null }));
}));
process.exit();
