/* A session: the connections' URLs and subprotocols, the message that is written, those that are saved.

   It stands in the address after the #, where it is never sent to a server, so a link shares it; and in the
   browser's storage, if there is any. What is read from either may be anything, and is checked.
   The address is made of pairs as in a query: `url` begins a connection, `subprotocols` and `auto` are about the
   one before it, `message` or `message-hex` is in the editor, `saved` and `saved-hex` are the saved ones. */

const MAX_CONNECTIONS = 6, MAX_SAVED = 50, MAX_SAVED_LENGTH = 100_000, MAX_ADDRESS = 8000;

/** Where a URL leads: one without a scheme names a host, or with a slash at its start a path of this server. */
function resolve(text) {
  const here = location.protocol === 'https:' ? 'wss:' : 'ws:';
  text = text.trim();
  if (/^[/?]/.test(text) && !text.startsWith('//')) text = location.host + text;
  else if (/^:\d/.test(text)) text = location.hostname + text;
  const hasScheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(text);
  const url = new URL(hasScheme ? text : `${here}//${text.replace(/^\/\//, '')}`);
  url.protocol = url.protocol.replace('http', 'ws');
  if (!/^wss?:$/.test(url.protocol)) throw new SyntaxError(`${url.protocol} is no WebSocket: it is ws:// or wss://`);
  url.hash = '';
  return url;
}

/** What of a session makes sense. */
function checked(session) {
  const string = (value, max) => typeof value === 'string' ? value.slice(0, max) : '';
  const list = (value, max) => Array.isArray(value) ? value.filter(one => one && typeof one === 'object').slice(0, max) : [];
  const message = one => ({ as: one.as === 'hex' ? 'hex' : 'text', text: string(one.text, MAX_SAVED_LENGTH) });
  return {
    connections: list(session?.connections, MAX_CONNECTIONS)
      .map(one => ({ url: string(one.url, MAX_ADDRESS), subprotocols: string(one.subprotocols, 1000), auto: one.auto === true }))
      .filter(one => one.url),
    message: session?.message ? message(session.message) : null,
    saved: list(session?.saved, MAX_SAVED).map(message),
  };
}

function remembered() {
  try {
    return checked(JSON.parse(localStorage.getItem('barews')));
  } catch {
    return checked(null); // no storage here, or nonsense in it
  }
}

function remember(session) {
  try {
    localStorage.setItem('barews', JSON.stringify(session));
  } catch {
    // Without storage nothing is remembered, and all else works.
  }
}

function toFragment({ connections, message, saved }) {
  const pairs = [];
  const pair = (name, value) => pairs.push(`${name}=${encodeURIComponent(value).replace(/%(2F|3A|3F|2C|20)/g, (kept, code) => code === '20' ? '+' : String.fromCharCode(parseInt(code, 16)))}`);
  for (const { url, subprotocols, auto } of connections) {
    pair('url', url);
    if (subprotocols) pair('subprotocols', subprotocols);
    if (auto) pair('auto', 1);
  }
  const hexed = one => one.as === 'hex' ? '-hex' : '';
  if (message) pair(`message${hexed(message)}`, message.text);
  for (const one of saved) pair(`saved${hexed(one)}`, one.text);
  // What would make the address longer than programs take is left out, from the end.
  while (pairs.length > 1 && pairs.join('&').length > MAX_ADDRESS) pairs.pop();
  return `#${pairs.join('&')}`;
}

function fromFragment(hash) {
  const session = { connections: [], saved: [] };
  for (const [name, value] of new URLSearchParams(hash.slice(1))) {
    const last = session.connections.at(-1);
    const [what, as = 'text'] = name.split('-');
    if (name === 'url') session.connections.push({ url: value });
    else if (name === 'subprotocols' && last) last.subprotocols = value;
    else if (name === 'auto' && last) last.auto = value === '1';
    else if (what === 'message') session.message = { as, text: value };
    else if (what === 'saved') session.saved.push({ as, text: value });
  }
  return checked(session);
}
