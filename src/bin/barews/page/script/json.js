/* JSON as it was sent, pretty-printed and folded.

   JSON.parse only says whether it is JSON: what it makes of 12345678901234567890, or of a name that is there
   twice, is not what was sent. So the text itself is walked, and a container's members are looked for when it is
   opened: a large document costs no more than what is seen of it. */

const MEMBERS_SHOWN = 200, SMALL = 1000, SCALAR_SHOWN = 2000;
const isSpace = char => char === ' ' || char === '\n' || char === '\r' || char === '\t';

/** Whether a text is an object or an array in JSON. */
function isJson(text) {
  if (!/^\s*[{[]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Where a valid text's value ends that starts at `at`. */
function valueEnd(text, at) {
  let depth = 0;
  do {
    const char = text[at];
    if (char === '"') {
      at++;
      while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    } else if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    else if (depth === 0) {
      while (at < text.length && !/[\s,\]}]/.test(text[at])) at++;
      return at;
    }
    at++;
  } while (depth > 0);
  return at;
}

/** The members of the container at `at`: [name with its quotes or '', start, end]. */
function* members(text, at) {
  const named = text[at] === '{';
  const skip = () => { while (isSpace(text[at])) at++; };
  at++;
  for (skip(); text[at] !== '}' && text[at] !== ']'; skip()) {
    let name = '';
    if (named) {
      const end = valueEnd(text, at);
      name = text.slice(at, end);
      at = end;
      skip();
      at++; // the colon
      skip();
    }
    const start = at;
    at = valueEnd(text, at);
    yield [name, start, at];
    skip();
    if (text[at] === ',') at++;
    skip();
  }
}

function scalar(raw) {
  const look = raw[0] === '"' ? 'string' : /[-\d]/.test(raw[0]) ? 'number' : 'word';
  const short = cutText(raw, SCALAR_SHOWN);
  const made = element('span', `json-${look}`, short);
  if (short.length < raw.length) made.append(element('small', '', ` … of ${plural(raw.length, 'UTF-16 unit')}`));
  return made;
}

/** One value with its name, in a line or in one that folds. */
function jsonNode(text, name, start, end, depth) {
  const open = text[start];
  const label = name ? [element('span', 'json-name', name), ': '] : [];
  const line = element('div', 'json-line');
  const [first] = open === '{' || open === '[' ? members(text, start) : [];
  if (!first) {
    line.append(...label, open === '{' ? '{}' : open === '[' ? '[]' : scalar(text.slice(start, end)));
    return line;
  }
  const fold = element('details'), summary = element('summary');
  const closing = open === '{' ? '}' : ']';
  const preview = text.slice(start + 1, Math.min(end - 1, start + 61)).replace(/\s+/g, ' ');
  summary.append(...label, open, element('span', 'folded', `${cutText(preview, 60)}${end - start > 62 ? ' …' : ''}${closing}`));
  const inside = element('div', 'json-inside');
  fold.append(summary, inside, element('div', 'json-line', closing));
  const fill = () => inside.childElementCount || addMembers(inside, text, members(text, start), depth + 1);
  fold.addEventListener('toggle', fill);
  // What is small need not be asked for.
  if (depth === 0 || (depth < 3 && end - start < SMALL)) {
    fold.open = true;
    fill();
  }
  return fold;
}

function addMembers(inside, text, rest, depth) {
  for (let shown = 0; shown < MEMBERS_SHOWN; shown++) {
    const { value, done } = rest.next();
    if (done) return;
    inside.append(jsonNode(text, ...value, depth));
  }
  const next = rest.next();
  if (next.done) return;
  const more = button(`Show ${MEMBERS_SHOWN} more`, () => {
    more.replaceWith(jsonNode(text, ...next.value, depth));
    addMembers(inside, text, rest, depth);
  });
  inside.append(more);
}

/** The view of a whole document. */
function jsonView(text) {
  const view = element('div', 'json');
  const start = text.search(/\S/);
  view.append(jsonNode(text, '', start, valueEnd(text, start), 0));
  return view;
}

/** The same as a text, for the clipboard: spaces and lines are new, all else is as it was sent. */
function prettyJson(text) {
  const out = [];
  let depth = 0;
  // Whoever nests deeper than that has no use for it.
  const line = () => `\n${'  '.repeat(Math.min(depth, 100))}`;
  for (let at = 0; at < text.length;) {
    const char = text[at];
    if (char === '{' || char === '[') {
      let next = at + 1;
      while (isSpace(text[next])) next++;
      const empty = text[next] === '}' || text[next] === ']';
      if (!empty) depth++;
      out.push(char, empty ? text[next] : line());
      at = empty ? next + 1 : next;
      continue;
    }
    if (char === '}' || char === ']') depth--;
    const end = '}],:'.includes(char) || isSpace(char) ? at + 1 : valueEnd(text, at);
    if (char === '}' || char === ']') out.push(line(), char);
    else if (char === ',') out.push(char, line());
    else if (char === ':') out.push(': ');
    else if (!isSpace(char)) out.push(text.slice(at, end));
    at = end;
  }
  return out.join('');
}
