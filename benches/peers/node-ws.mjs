// An echo with ws: `node node-ws.mjs ADDRESS`. It compresses whatever it is sent; else as it comes.
import { WebSocketServer } from 'ws';

const [host, port] = process.argv[2].split(':');
const server = new WebSocketServer({ host, port, perMessageDeflate: { threshold: 0 } });
server.on('connection', socket => {
  socket.on('error', console.error);
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
