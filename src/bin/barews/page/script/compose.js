/* What is sent: the message that is written, files, those that are saved, and one again and again. */

const REPEAT_MOST = 3_600_000, REPEAT_BUFFERED = 1 << 20, LABEL = 40;

const written = () => ({ as: $('as').value, text: $('text').value });

/** The text or the bytes of a message as it is written, or null and a complaint at its field. */
function composed({ as, text } = written()) {
  if (as === 'text') return text;
  const bytes = fromHex(text);
  if (!bytes) refuse($('text'), 'Hex digits, two for each byte, such as 00 ff 7f');
  return bytes;
}

function sendMessage() {
  const data = composed();
  if (data !== null) current().send(data);
}

function edit(as, text) {
  $('as').value = as;
  $('text').value = text;
  $('text').setCustomValidity('');
  $('text').focus();
  sessionChanged();
}

/* Files: each is one message, and its name is in the log. */

async function sendFiles(input, asText) {
  const files = [...input.files], to = current();
  input.value = '';
  for (const file of files) {
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      const data = asText ? utf8(bytes) : bytes;
      if (data === null) to.tell(`${file.name} is not UTF-8, so it cannot be a text: send it as binary`, 'bad');
      else to.send(data, file.name);
    } catch (error) {
      to.tell(`${file.name}: ${error.message}`, 'bad');
    }
  }
}

/* Saved messages. */

let saved = [];

function showSaved() {
  $('saved').hidden = saved.length === 0;
  $('saved').replaceChildren(...saved.map((one, i) => {
    const item = element('li'), label = `${one.as === 'hex' ? 'hex: ' : ''}${cutText(one.text, LABEL) || '(empty)'}`;
    const remove = button('×', () => {
      saved.splice(i, 1);
      showSaved();
      sessionChanged();
      ($('saved').querySelectorAll('button')[2 * Math.min(i, saved.length - 1)] ?? $('keep')).focus();
    });
    remove.setAttribute('aria-label', `Remove ${label}`);
    item.append(button(label, () => edit(one.as, one.text)), remove);
    return item;
  }));
}

function keep() {
  const one = written();
  if (one.text.length > MAX_SAVED_LENGTH) return say(`Not saved: at most ${number(MAX_SAVED_LENGTH)} characters`);
  saved = [one, ...saved.filter(other => other.as !== one.as || other.text !== one.text)].slice(0, MAX_SAVED);
  showSaved();
  sessionChanged();
  say('Saved the message');
}

/* Repeating: one timer, for the connection and the message that there were when it began. What the network does not
   take waits in the browser's memory; so while 1 MiB does, nothing is added. */

const repeating = { timer: 0, to: null, sent: 0, skipped: 0 };

function startRepeating() {
  const every = $('every').value.trim(), data = composed();
  if (!/^[1-9]\d*$/.test(every) || every > REPEAT_MOST) return refuse($('every'), `Milliseconds, from 1 to ${number(REPEAT_MOST)}`);
  if (data === null || !current().isOpen()) return;
  Object.assign(repeating, { to: current(), sent: 0, skipped: 0, timer: setInterval(() => repeat(data), every) });
  $('repeating').textContent = 'Stop';
  repeat(data);
}

function stopRepeating() {
  if (!repeating.timer) return;
  clearInterval(repeating.timer);
  repeating.timer = 0;
  $('repeating').textContent = 'Repeat';
}

function repeat(data) {
  const { to } = repeating;
  // One that comes back by itself is waited for.
  if (!to.isOpen()) return to.waiting || (to.socket && to.control('auto').checked) ? undefined : stopRepeating();
  if (to.socket.bufferedAmount > REPEAT_BUFFERED) repeating.skipped++;
  else {
    to.send(data);
    repeating.sent++;
  }
  $('repeated').textContent = `${number(repeating.sent)} sent on ${to.letter}${repeating.skipped ? `, ${number(repeating.skipped)} left out: 1 MiB waits to be taken` : ''}`;
}

/* Closing. */

function closeWith() {
  const code = $('code').value.trim(), reason = $('reason').value;
  if (!/^(1000|[34]\d{3})$/.test(code)) return refuse($('code'), '1000 or 3000 to 4999: a browser may send no other');
  if (encoder.encode(reason).length > 123) return refuse($('reason'), 'At most 123 bytes of UTF-8');
  if (current().isOpen()) current().closeWith(Number(code), reason);
}

on('message', 'submit', sendMessage);
on('text', 'keydown', e => {
  if (e.key !== 'Enter' || !(e.ctrlKey || e.metaKey)) return;
  e.preventDefault();
  sendMessage();
});
on('as', 'input', () => $('text').setCustomValidity(''));
for (const id of ['text', 'as']) on(id, 'input', sessionChanged);
on('file-binary', 'change', () => sendFiles($('file-binary'), false));
on('file-text', 'change', () => sendFiles($('file-text'), true));
on('keep', 'click', keep);
on('repeat', 'submit', () => repeating.timer ? stopRepeating() : startRepeating());
on('close', 'submit', closeWith);
on('reason', 'input', () => $('left').textContent = `${encoder.encode($('reason').value).length} of 123 bytes`);
