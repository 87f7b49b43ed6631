/* A message opened to all of it: as JSON, as text, as hex beside ASCII; to be copied and saved.

   However long it is, no more is drawn than is asked for: a piece, and the next one at the press of a button. */

const TEXT_PIECE = 20_000, HEX_PIECE = 4096;

/** What is shown of something long: `draw` makes an element of each piece. */
function pieces(length, size, draw) {
  const box = element('div');
  let at = 0;
  const more = button('', () => next(size * 16));
  const next = size => {
    const end = Math.min(length, at + size);
    more.before(draw(at, end));
    at = end;
    more.hidden = at >= length;
    more.textContent = `Show more: ${number(at)} of ${number(length)} are shown`;
  };
  box.append(more);
  next(size);
  return box;
}

function textView(text) {
  return pieces(text.length, TEXT_PIECE, (from, to) => {
    const piece = element('pre', 'whole-text', text.slice(from, to));
    piece.dir = 'auto';
    return piece;
  });
}

const printable = byte => byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.';

function hexView(bytes) {
  const per = $('log').clientWidth < 640 ? 8 : 16;
  const places = Math.max(4, bytes.length.toString(16).length);
  const line = at => {
    const part = bytes.subarray(at, Math.min(bytes.length, at + per));
    const digits = Array.from(part, hex).join(' ').padEnd(3 * per - 1);
    return `${at.toString(16).padStart(places, '0')}  ${digits}  ${Array.from(part, printable).join('')}`;
  };
  return pieces(bytes.length, HEX_PIECE, (from, to) => {
    const lines = [];
    for (let at = from; at < to; at += per) lines.push(line(at));
    return element('pre', 'hex', lines.join('\n'));
  });
}

/** The ways to see a message, the best one first: [name, view, what is copied]. */
function views(data) {
  const text = typeof data === 'string' ? data : utf8(data);
  const asHex = ['Hex', () => hexView(toBytes(data)), () => Array.from(toBytes(data), hex).join(' ')];
  if (text === null) return [asHex];
  const asText = ['Text', () => textView(text), () => text];
  const asJson = isJson(text) ? [['JSON', () => jsonView(text), () => prettyJson(text)]] : [];
  return typeof data === 'string' || asJson.length ? [...asJson, asText, asHex] : [asHex, asText];
}

function fileName(entry) {
  if (entry.name) return entry.name;
  const end = entry.kind === 'binary' ? 'bin' : isJson(entry.data) ? 'json' : 'txt';
  return `message-${entry.number}.${end}`;
}

/** What is below an entry of the log once that is opened. */
function openedMessage(entry) {
  const box = element('div', 'opened'), bar = element('div', 'row'), shown = element('div', 'view');
  shown.tabIndex = 0; // for the arrows to scroll it
  shown.setAttribute('role', 'region');
  shown.setAttribute('aria-label', `Message ${entry.number}`);
  const ways = views(entry.data);
  let current;
  const choose = way => {
    current = way;
    for (const one of tabs) one.setAttribute('aria-pressed', one.textContent === way[0]);
    shown.replaceChildren(way[1]());
  };
  const tabs = ways.map(way => button(way[0], () => choose(way)));
  bar.append(...tabs,
    button('Copy', () => copy(current[2](), `message ${entry.number} as ${current[0]}`)),
    button('Save', () => save(fileName(entry), 'application/octet-stream', [entry.data])),
    button('Edit', () => edit(typeof entry.data === 'string' ? 'text' : 'hex', ways[0][0] === 'Hex' ? ways[0][2]() : toText(entry.data))));
  if (entry.kept !== undefined) bar.append(element('small', '', `only the first ${plural(entry.kept, 'byte')} were kept`));
  box.append(bar, shown);
  choose(ways[0]);
  return box;
}
