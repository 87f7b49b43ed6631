// An echo with uWebSockets, set up as its example EchoServer is: `node uwebsockets.mjs ADDRESS`.
import { createRequire } from 'node:module';

// Not the package itself, which takes something else if the library does not load.
const { platform, arch, versions } = process;
const library = `uws_${platform}_${arch}_${versions.modules}.node`;
const uws = createRequire(import.meta.url)(`@trufflesuite/uws-js-unofficial/binaries/${library}`);

const [host, port] = process.argv[2].split(':');
uws.App().ws('/*', {
  compression: uws.DEDICATED_COMPRESSOR_4KB | uws.DEDICATED_DECOMPRESSOR,
  maxPayloadLength: 100 << 20,
  maxBackpressure: 100 << 20,
  message: (socket, message, isBinary) => socket.send(message, isBinary, true),
}).listen(host, Number(port), listens => listens || process.exit(1));
