// An echo with Bun's own server, as it comes: `bun bun.mjs ADDRESS`.
const [hostname, port] = process.argv[2].split(':');
Bun.serve({
  hostname,
  port: Number(port),
  fetch: (request, server) => server.upgrade(request) ? undefined : new Response(null, { status: 400 }),
  websocket: {
    maxPayloadLength: 16 << 20,
    message: (socket, message) => { socket.send(message); },
  },
});
