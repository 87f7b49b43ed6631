/* The log: what is kept of it, what of that is shown, and in which way.

   A flood brings far more than can be drawn. So an entry that comes is only kept, and ten times a second those
   that are new and match the filter are drawn, the last 500 at the most. What is kept is bounded by number and by
   bytes; the oldest goes first. */

const KEPT = 5000, KEPT_BYTES = 64 << 20, MESSAGE_BYTES = 16 << 20, SHOWN = 500, FLOOD = 100, TEXT = 400, HEX = 32;

const log = { entries: [], bytes: 0, next: 1, painted: 0, limit: SHOWN, paused: false, opened: new Set() };
const lettered = (one, letter) => !letter || one.letter === letter;
let painting = 0;         // the timer that draws,
let paintedAt = 0;        // and when it did last

// A text takes up to two bytes for each of its units.
const cost = entry => typeof entry.data === 'string' ? 2 * entry.data.length : entry.data?.length ?? 0;

function paintLater() {
  painting ||= setTimeout(paint, Math.max(0, paintedAt + 100 - performance.now()));
}

function note(entry) {
  entry.number = log.next++;
  entry.time = Date.now();
  if (entry.data?.length > MESSAGE_BYTES) {
    entry.data = typeof entry.data === 'string' ? cutText(entry.data, MESSAGE_BYTES) : entry.data.slice(0, MESSAGE_BYTES);
    entry.kept = toBytes(entry.data).length;
  }
  log.entries.push(entry);
  log.bytes += cost(entry);
  while (log.entries.length > KEPT || log.bytes > KEPT_BYTES) log.bytes -= cost(log.entries.shift());
  paintLater();
}

/* What is shown: the filter. */

let matches = () => true;

function readFilter() {
  const sought = $('search').value, way = $('direction').value, type = $('type').value, letter = $('whom').value;
  let pattern = null;
  try {
    pattern = sought && new RegExp($('regex').checked ? sought : sought.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'iu');
    $('search').setCustomValidity('');
  } catch (error) {
    return refuse($('search'), error.message);
  }
  const ways = way === 'event' ? ['event', 'bad'] : [way];
  $('log').dataset.filtered = sought || way || type || letter ? 'yes' : '';
  matches = entry => (!way || ways.includes(entry.way)) && (!type || entry.kind === type) && lettered(entry, letter)
    && (!pattern || pattern.test(entry.body ?? toText(entry.data)) || (entry.name !== undefined && pattern.test(entry.name))
      || (entry.kind === 'binary' && pattern.test(Array.from(entry.data.subarray(0, 4096), hex).join(' '))));
  repaint();
}

/* How an entry looks. */

const ARROWS = { in: ['↓', 'received'], out: ['↑', 'sent'], event: ['•', 'event'], bad: ['!', 'error'] };

function bodyOf(entry) {
  const body = element('code');
  if (entry.name !== undefined) body.append(element('span', 'name', entry.name), ' ');
  if (entry.body !== undefined || typeof entry.data === 'string') {
    const text = entry.body ?? entry.data, short = entry.body ?? cutText(text, TEXT);
    body.append(short);
    body.dir = 'auto';
    if (short.length < text.length) body.append(element('small', '', `… the first ${short.length} of ${plural(text.length, 'UTF-16 unit')}`));
    return body;
  }
  const start = entry.data.subarray(0, HEX);
  body.append(Array.from(start, hex).join(' '), element('span', 'ascii', Array.from(start, printable).join('')));
  if (entry.size > HEX) body.append(element('small', '', `… the first ${HEX} of ${plural(entry.size, 'byte')}`));
  return body;
}

function row(entry) {
  const made = element('div', `entry ${entry.way}`), [sign, name] = ARROWS[entry.way];
  made.dataset.number = entry.number;
  made.style.setProperty('--lane', entry.letter ? LETTERS.indexOf(entry.letter) : 0);
  const arrow = element('b', '', sign);
  arrow.setAttribute('role', 'img');
  arrow.setAttribute('aria-label', name);
  const margin = element('div', 'margin');
  margin.append(element('time', '', clock.format(entry.time)), arrow, element('b', 'letter', entry.letter ?? ''));
  if (entry.kind) {
    const rtt = entry.rtt == null ? '' : `${ms(entry.rtt)} ms`;
    margin.append(element('span', 'kind', entry.kind), element('span', 'size', `${number(entry.size)} B`), element('span', 'rtt', rtt));
  }
  const body = bodyOf(entry);
  made.append(margin, body);
  if (entry.kind) {
    const opener = button('', () => toggleEntry(made, entry, opener), 'opener');
    opener.setAttribute('aria-label', `Message ${entry.number}`);
    opener.tabIndex = -1; // the log's own arrows lead here
    made.prepend(opener);
    body.addEventListener('click', () => getSelection().isCollapsed && toggleEntry(made, entry, opener));
    setOpen(made, entry, opener);
  }
  return made;
}

function setOpen(made, entry, opener) {
  const open = log.opened.has(entry.number);
  opener.setAttribute('aria-expanded', open);
  made.querySelector('.opened')?.remove();
  if (open) made.append(openedMessage(entry));
}

function toggleEntry(made, entry, opener) {
  if (!log.opened.delete(entry.number)) log.opened.add(entry.number);
  setOpen(made, entry, opener);
}

/* Drawing. */

function discard(made) {
  // Who reads with the keyboard is not thrown to the page's start.
  if (made.contains(document.activeElement)) $('log').focus();
  log.opened.delete(Number(made.dataset.number));
  made.remove();
}

function paint() {
  painting = 0;
  paintedAt = performance.now();
  const box = $('log');
  if (!log.paused) {
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    const fresh = log.entries.slice(Math.max(0, log.entries.length - (log.next - 1 - log.painted)));
    log.painted = log.next - 1;
    box.classList.toggle('flooded', fresh.length > FLOOD);
    box.append(...fresh.filter(matches).slice(-log.limit).map(row));
    const oldest = log.entries[0]?.number ?? log.next;
    while (box.childElementCount > log.limit || Number(box.firstElementChild?.dataset.number) < oldest) discard(box.firstElementChild);
    $('earlier').hidden = box.childElementCount < log.limit || log.entries.length <= box.childElementCount;
    if (atEnd) box.scrollTop = box.scrollHeight;
  }
  showTotals();
  drawFigures();
}

function repaint() {
  const opened = new Set(log.opened);
  for (const made of [...$('log').children]) discard(made);
  log.opened = opened;
  log.painted = (log.entries[0]?.number ?? log.next) - 1;
  paint();
}

function showTotals() {
  const total = { out: 0, outBytes: 0, in: 0, inBytes: 0 };
  for (const one of connections) for (const key in total) total[key] += one.total[key];
  $('totals').textContent = total.out + total.in === 0 ? '' :
    `↑ ${number(total.out)} (${number(total.outBytes)} B)  ↓ ${number(total.in)} (${number(total.inBytes)} B)`;
}

function clearLog() {
  log.entries = [];
  log.bytes = 0;
  log.limit = SHOWN;
  log.opened.clear();
  repaint();
}

/* Controls: the arrows go from entry to entry, and Enter opens one. */

let filtering = 0;
for (const id of ['search', 'regex', 'direction', 'type', 'whom']) {
  on(id, 'input', () => {
    clearTimeout(filtering);
    filtering = setTimeout(readFilter, 150);
  });
}
on('filter', 'submit', readFilter);
on('clear', 'click', clearLog);
on('earlier', 'click', () => {
  log.limit += SHOWN;
  repaint();
});
on('pause', 'click', () => {
  log.paused = !log.paused;
  $('pause').setAttribute('aria-pressed', log.paused);
  paint();
});
on('lanes', 'click', () => {
  const lanes = $('log').classList.toggle('lanes');
  $('lanes').setAttribute('aria-pressed', lanes);
});
on('log', 'keydown', e => {
  if (e.target !== $('log') && !e.target.classList.contains('opener')) return;
  const openers = [...$('log').querySelectorAll('.opener')], at = openers.indexOf(e.target);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? openers.length - 1 : at - 1, Home: 0, End: openers.length - 1 }[e.key];
  if (!openers[to]) return;
  e.preventDefault();
  openers[to].focus();
});
