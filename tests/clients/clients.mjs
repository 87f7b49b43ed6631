// Clients for Node.js that offer subprotocols, each of which fails by its own hand if it gets none.
// tests/clients/run starts them, with the address of the server in SERVER_URL.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'graphql-ws';
import mqtt from 'mqtt';
import { RPCClient } from 'ocpp-rpc';
import { WebSocket as Undici } from 'undici';
import WebSocket from 'ws';

const url = process.env.SERVER_URL;

/** What an emitter says first: `good`, or else an error. */
const first = (emitter, good, bad = ['error', 'close']) => new Promise((resolve, reject) => {
  emitter.once(good, resolve);
  for (const name of bad) emitter.once(name, error => reject(error ?? new Error(name)));
});

/** The subprotocol that a client with the API of browsers comes to, or `failed`. */
const agreed = (Client, path, offers) => new Promise(resolve => {
  const socket = new Client(url + path, offers);
  socket.onerror = () => resolve('failed');
  socket.onopen = () => {
    resolve(socket.protocol);
    socket.close();
  };
});

for (const [name, Client] of Object.entries({ undici: Undici, ws: WebSocket })) {
  test(`${name} comes to the first one it offers, or the one it asks for`, async () => {
    assert.equal(await agreed(Client, '/echo', ['chat', 'superchat']), 'chat');
    assert.equal(await agreed(Client, '/count/1', ['chat', 'superchat']), 'chat');
    assert.equal(await agreed(Client, '/echo?subprotocol=superchat', ['chat', 'superchat']), 'superchat');
    // Nor does it take none for an answer, which is why the first is the default.
    assert.equal(await agreed(Client, '/echo?subprotocol=none', ['chat', 'superchat']), 'failed');
    assert.equal(await agreed(Client, '/echo?subprotocol=other', ['chat', 'superchat']), 'failed');
    assert.equal(await agreed(Client, '/echo?subprotocol=none', []), '');
  });
}

test('graphql-ws opens', async () => {
  const protocol = await new Promise((resolve, reject) => {
    createClient({
      // An echo is no acknowledgement, so none comes; after 4400 it does not try again.
      url: `${url}/delay/60000`, webSocketImpl: WebSocket, lazy: false, retryAttempts: 0,
      onNonLazyError: reject,
      on: { opened: socket => { resolve(socket.protocol); socket.close(4400); } },
    });
  });
  assert.equal(protocol, 'graphql-transport-ws');
});

test('mqtt sends its first packet, which comes back', async () => {
  const client = mqtt.connect(`${url}/mqtt`, { reconnectPeriod: 0 });
  try {
    assert.equal((await first(client, 'packetreceive')).cmd, 'connect');
  } finally {
    client.on('error', () => {});
    client.end(true);
  }
});

test('ocpp-rpc connects, with its identity in the path', async () => {
  const client = new RPCClient({ endpoint: `${url}/ocpp`, identity: 'CP001', protocols: ['ocpp1.6'], reconnect: false });
  await client.connect();
  assert.equal(client.protocol, 'ocpp1.6');
  await client.close();
});
