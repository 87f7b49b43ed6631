/* The rows of connections, which of them is the chosen one, and where a session comes from and goes to.

   Opening a link or coming back only fills in the fields: nothing is ever connected or sent but at a press. */

let remembering = 0;

const session = () => ({
  connections: connections.map(one => ({
    url: one.control('url').value.trim(), subprotocols: one.control('subprotocols').value.trim(), auto: one.control('auto').checked,
  })),
  message: written(),
  saved,
});

/** The address has all but the saved messages: those go into a link only if that is asked for. */
function sessionChanged() {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    remembering = 0;
    const now = session();
    remember(now);
    history.replaceState(null, '', toFragment({ ...now, saved: [] }));
  }, 200);
}

/** What was changed just before the page is left is remembered, too. */
function pageLeft() {
  if (remembering) remember(session());
}

function copyLink() {
  const now = session();
  const link = new URL(toFragment(now), location.href).href;
  copy(link, `a link: ${plural(now.connections.length, 'connection')}, the message, ${plural(now.saved.length, 'saved message')}`);
}

/* Connections. */

function addConnection(fields) {
  const letter = [...LETTERS].find(one => !connections.some(other => other.letter === one));
  const made = new Connection(letter, fields);
  connections.push(made);
  connections.sort((a, b) => a.letter < b.letter ? -1 : 1);
  $('connections').append(...connections.map(one => one.row));
  return made;
}

function removeConnection(gone) {
  const wasCurrent = gone === current(), at = connections.indexOf(gone);
  connections.splice(at, 1);
  gone.stop('Removed');
  const { socket } = gone;
  gone.forgetSocket();
  socket?.close(1000);
  gone.row.remove();
  if (wasCurrent) connections[Math.max(0, at - 1)].pick();
  connectionsChanged();
  $('add').focus();
}

function connectionsChanged() {
  const many = connections.length > 1;
  document.body.classList.toggle('many', many);
  $('add').disabled = connections.length === MAX_CONNECTIONS;
  $('lanes').hidden = $('of').hidden = !many;
  $('log').style.setProperty('--lanes', Math.max(...connections.map(one => LETTERS.indexOf(one.letter))) + 1);
  if (!many && $('log').classList.contains('lanes')) $('lanes').click();
  const had = $('whom').value;
  $('whom').replaceChildren(...['', ...connections.map(one => one.letter)].map(letter => {
    const option = element('option', '', letter || 'all');
    option.value = letter;
    return option;
  }));
  $('whom').value = connections.some(one => one.letter === had) ? had : '';
  if ($('whom').value !== had) readFilter();
  currentChanged();
  sessionChanged();
}

/** Messages go to the chosen one, and the figures are its own. */
function currentChanged() {
  $('whose').textContent = connections.length > 1 ? `of ${current().letter}` : '';
  explainPings();
  stateChanged();
  drawFigures();
}

function stateChanged() {
  if (!connections.length) return; // the first one is being made
  const open = current().isOpen();
  for (const one of document.querySelectorAll('[data-open]')) {
    if (one.id === 'repeating' && repeating.timer) continue;
    if (!open && one === document.activeElement) current().control('toggle').focus();
    one.disabled = !open;
  }
}

/* Where a session comes from: the address, or what is remembered, or the beginning. */

function fillIn({ connections: wanted, message }) {
  wanted.forEach((fields, i) => {
    if (!connections[i]) return addConnection(fields);
    connections[i].control('url').value = fields.url;
    connections[i].control('subprotocols').value = fields.subprotocols;
    connections[i].control('auto').checked = fields.auto;
  });
  if (message) [$('as').value, $('text').value] = [message.as, message.text];
}

function restore() {
  const linked = fromFragment(location.hash), kept = remembered();
  const from = linked.connections.length ? linked : kept;
  // What somebody else sends does not take the place of one's own.
  const all = [...linked.saved, ...kept.saved];
  saved = all.filter((one, i) => all.findIndex(other => other.as === one.as && other.text === one.text) === i).slice(0, MAX_SAVED);
  fillIn(from.connections.length ? from : { connections: [{ url: '/echo' }], message: from.message });
  showSaved();
}

restore();
connections[0].pick();
connectionsChanged();
clearTimeout(remembering);
remembering = 0; // nobody has changed anything yet
on(window, 'pagehide', pageLeft);
on('add', 'click', () => {
  addConnection({ url: current().control('url').value, subprotocols: current().control('subprotocols').value }).pick();
  connectionsChanged();
  current().control('url').focus();
});
on('link', 'click', copyLink);
on(window, 'hashchange', () => {
  fillIn(fromFragment(location.hash));
  connectionsChanged();
});
if (/Mac|iPhone|iPad/.test(navigator.platform)) document.querySelector('kbd').textContent = '⌘ Enter';
showPaths();
