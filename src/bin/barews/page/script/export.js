/* The session taken elsewhere: the log as JSON, and what was sent as a command for a shell.

   A command may be pasted without a look at it, so nothing in it is left to the shell: words are in single quotes, and
   what is no printable character is written as its octal number, which printf makes bytes of. */

const COMMAND_MESSAGES = 100, EXPORT_PIECE = 0x8000;

function base64(bytes) {
  let binary = '';
  for (let at = 0; at < bytes.length; at += EXPORT_PIECE) binary += String.fromCharCode(...bytes.subarray(at, at + EXPORT_PIECE));
  return btoa(binary);
}

function exported(entry) {
  const one = { time: new Date(entry.time).toISOString(), connection: entry.letter, direction: ARROWS[entry.way][1] };
  if (!entry.kind) return { ...one, text: entry.body };
  return {
    ...one, type: entry.kind, size: entry.size, file: entry.name, roundTripMs: entry.rtt ?? undefined, keptBytes: entry.kept,
    ...entry.kind === 'text' ? { text: entry.data } : { base64: base64(entry.data) },
  };
}

/** All that is kept and matches the filter. One entry after the other: together they may be longer than a text may. */
function saveLog() {
  const head = { page: location.origin + location.pathname, saved: new Date().toISOString(), connections: session().connections };
  const parts = [`${JSON.stringify(head).slice(0, -1)},"log":[\n`];
  const entries = log.entries.filter(matches);
  entries.forEach((entry, i) => parts.push(JSON.stringify(exported(entry)), i < entries.length - 1 ? ',\n' : '\n'));
  save(`barews-${new Date().toISOString().replace(/[:.]/g, '-')}.json`, 'application/json', [...parts, ']}\n']);
}

const quoted = word => /^[\w./:@=,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** For printf's %b: a backslash, a quote and what cannot be seen by their numbers. */
function octal(data) {
  const byte = value => `\\0${value.toString(8).padStart(3, '0')}`;
  if (typeof data !== 'string') return Array.from(data, byte).join('');
  const unseen = /[\\'\p{C}\p{Zl}\p{Zp}]/gu;
  return data.replace(unseen, char => Array.from(encoder.encode(char), byte).join(''));
}

/** What a connection has sent since it was made, or else what is written. */
function toSend(connection) {
  const sent = log.entries.filter(one => one.way === 'out' && one.letter === connection.letter && one.kept === undefined);
  const data = composed();
  return sent.length ? sent.slice(-COMMAND_MESSAGES).map(one => one.data) : data === null ? [] : [data];
}

/** A shell's command, for websocat 1. It takes a line as a message, or what NUL ends, or all as one binary message. */
function websocatCommand(connection) {
  const all = toSend(connection), texts = all.filter(one => typeof one === 'string');
  const binary = texts.length === 0 && all.length > 0;
  const messages = binary ? all.slice(-1) : texts;
  const lines = messages.some(one => typeof one === 'string' && one.includes('\n'));
  const format = binary ? '%b' : lines ? '%b\\0' : '%b\\n';
  const names = connection.control('subprotocols').value.split(',').map(name => name.trim()).filter(Boolean);
  const words = ['websocat', ...binary ? ['-b'] : lines ? ['-0'] : [], ...names.length ? ['--protocol', names.join(', ')] : [], connection.target().href];
  const left = all.length - messages.length;
  return `${left ? `# ${plural(left, 'binary message')} left out\n` : ''}`
    + `printf '${format}' ${messages.map(one => `'${octal(one)}'`).join(' ')} | ${words.map(quoted).join(' ')}\n`;
}

/** curl shows the answer to the handshake, which a browser hides. */
function curlCommand(connection) {
  const url = connection.target();
  url.protocol = url.protocol.replace('ws', 'http');
  const names = connection.control('subprotocols').value.trim();
  const headers = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))}`,
    ...names ? [`Sec-WebSocket-Protocol: ${names}`] : []];
  return `${['curl', '-i', '-s', '-N', '--http1.1', '--max-time', '2', ...headers.flatMap(header => ['-H', header]), url.href].map(quoted).join(' ')}\n`;
}

function copyCommand(make, tool) {
  const connection = current();
  if (!connection.target()) return say('Not copied: the URL is not one');
  copy(make(connection), `a command for ${tool}`);
}

on('export', 'click', saveLog);
on('websocat', 'click', () => copyCommand(websocatCommand, 'websocat'));
on('curl', 'click', () => copyCommand(curlCommand, 'curl'));
