/* A connection: a row of controls, and a WebSocket behind it, of which there may be many one after the other.

     idle ──connect──> connecting ──open──> open ──close──> idle
       ^                   │ refused: asked why               │
       └──── or, if it reconnects by itself, waiting <────────┘

   The wait doubles each time, up to half a minute, and is cut by a random part of its half, so that many clients do
   not come back at once. It begins anew once a connection has lasted. A server that says Retry-After is obeyed, and
   one that says 401, 403 or the like is not asked again. */

const LETTERS = 'ABCDEF', WAIT_FIRST = 500, WAIT_MOST = 30_000, LASTED = 5000;
const AWAITED = 500, AWAITED_BYTES = 16 << 20;
const PATIENT = [408, 425, 426, 429]; // of 400 to 499 those after which another attempt makes sense

const connections = [];
const current = () => connections.find(one => one.picked()) ?? connections[0];

function same(a, b) {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

class Connection {
  constructor(letter, { url, subprotocols = '', auto = false }) {
    this.letter = letter;
    this.socket = null;       // from its start to its close event
    this.waiting = 0;         // the timer of the next attempt
    this.attempts = 0;        // since a connection lasted
    this.total = { out: 0, outBytes: 0, in: 0, inBytes: 0 };
    this.trips = new RoundTrips();
    this.awaited = [];        // messages whose echo has not come, oldest first
    this.row = $('row').content.firstElementChild.cloneNode(true);
    this.control('url').value = url;
    this.control('subprotocols').value = subprotocols;
    this.control('auto').checked = auto;
    this.row.setAttribute('aria-label', `Connection ${letter}`);
    this.row.querySelector('.letter').textContent = letter;
    this.listen();
    this.show('Not connected', '');
  }

  control(name) { return this.row.querySelector(`.${name}`); }
  picked() { return this.row.querySelector('[name=current]').checked; }
  pick() { this.row.querySelector('[name=current]').checked = true; }
  isOpen() { return this.socket?.readyState === WebSocket.OPEN; }

  /** Where it is connected to, or would be. */
  target() {
    try {
      return this.socket ? new URL(this.socket.url) : resolve(this.control('url').value);
    } catch {
      return null;
    }
  }

  isHere() { return this.target()?.host === location.host; }
  reportsPings() { return this.isHere() && /\/ping\/[^/]+\/?$/.test(this.target().pathname); }
  tell(body, way = 'event') { note({ way, letter: this.letter, body }); }

  listen() {
    on(this.row, 'submit', () => this.toggle());
    on(this.control('again'), 'click', () => this.reconnect());
    on(this.control('remove'), 'click', () => removeConnection(this));
    on(this.row, 'input', () => {
      explainPings();
      sessionChanged();
    });
    on(this.row.querySelector('[name=current]'), 'change', currentChanged);
  }

  show(text, look) {
    this.control('state').textContent = text;
    this.control('state').className = `state ${look}`;
    this.control('toggle').textContent = this.waiting ? 'Stop' : this.socket ? 'Disconnect' : 'Connect';
    this.control('again').disabled = !this.isOpen();
    stateChanged();
  }

  /* Starting. */

  toggle() {
    if (this.waiting) return this.stop('Not connected');
    if (this.socket) return this.disconnect();
    this.attempts = 0;
    this.connect();
  }

  stop(text) {
    clearTimeout(this.waiting);
    this.waiting = 0;
    this.show(text, '');
  }

  /** Ends what is there, with 1000 where that is possible, and does not come back. */
  disconnect() {
    this.left = true;
    this.socket.close(...(this.isOpen() ? [1000] : []));
  }

  /** In one action: what is there ends, and a new one begins with what the fields say now. */
  reconnect() {
    this.tell('reconnecting');
    const old = this.socket;
    this.forgetSocket();
    old?.close(1000);
    this.attempts = 0;
    this.connect();
  }

  forgetSocket() {
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket = null;
  }

  connect() {
    this.waiting = 0;
    this.left = false;
    this.awaited = [];
    const names = this.control('subprotocols').value.split(',').map(name => name.trim()).filter(Boolean);
    let socket;
    try {
      socket = new WebSocket(resolve(this.control('url').value), names);
    } catch (error) {
      this.tell(error.message, 'bad');
      return this.show('Not connected', 'bad');
    }
    this.socket = socket;
    if (this.lastUrl !== socket.url) this.trips = new RoundTrips();
    this.lastUrl = socket.url;
    this.trips.handshakes.sent++;
    this.began = performance.now();
    this.openedAt = 0;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.opened();
    socket.onmessage = event => this.received(event.data, performance.now());
    socket.onclose = event => this.closed(event);
    const { pathname, search } = new URL(socket.url);
    this.path = pathname + search;
    this.show(`Connecting to ${this.path}`, 'wait');
  }

  opened() {
    const { url, protocol, extensions } = this.socket;
    this.openedAt = performance.now();
    this.trips.add('handshakes', this.openedAt - this.began);
    const chosen = protocol && `, subprotocol ${protocol}`;
    const agreed = extensions && `, ${extensions}`;
    this.tell(`connected to ${url}${chosen}${agreed} in ${ms(this.openedAt - this.began)} ms`);
    this.show(`Connected to ${this.path}${chosen}`, 'open');
    pingOnce();
  }

  /* Ending. */

  async closed({ code, reason, wasClean }) {
    const { url } = this.socket, lasted = this.openedAt && performance.now() - this.openedAt;
    this.socket = null;
    if (lasted > LASTED) this.attempts = 0;
    const said = reason && ` “${reason}”`;
    let refusal = null;
    if (this.openedAt) this.tell(`closed: code ${code}${said}, ${wasClean ? 'clean' : 'not clean: no Close frame came'}`);
    this.show(this.openedAt ? `Closed: ${code}${said}` : 'Not connected', wasClean ? '' : 'bad');
    if (!this.openedAt && !this.left) {
      const mark = this.began;
      refusal = await askWhy(url);
      this.tell(`not connected; ${refusal.text}`, 'bad');
      if (this.socket || this.waiting || mark !== this.began) return; // somebody was faster
    }
    if (this.control('auto').checked && !this.left) this.connectLater(refusal ?? {});
  }

  connectLater({ status = 0, retryAfter = 0 }) {
    if (!connections.includes(this)) return;
    if (status >= 300 && status < 500 && !PATIENT.includes(status)) {
      return this.tell('no further attempt: the answer would be the same');
    }
    const full = Math.min(WAIT_MOST, WAIT_FIRST * 2 ** this.attempts++);
    const wait = Math.max(Math.min(retryAfter, 3_600_000), full * (.5 + Math.random() / 2));
    this.waiting = setTimeout(() => this.connect(), wait);
    const text = `attempt ${this.attempts} in ${(wait / 1000).toFixed(1)} s`;
    this.tell(text);
    this.show(`Waiting: ${text}`, 'wait');
  }

  closeWith(code, reason) {
    this.left = true;
    this.socket.close(code, reason);
    this.tell(`closing with ${code}${reason && ` “${reason}”`}`);
    this.show(`Closing with ${code}`, 'wait');
  }

  /* Messages. */

  /** `name` is that of a file. */
  send(data, name) {
    if (!this.isOpen()) return this.tell('not sent: not connected', 'bad');
    const size = toBytes(data).length;
    this.trips.messages.sent++;
    this.awaited.push({ data, size, at: performance.now() });
    this.socket.send(data);
    // What is not echoed must not pile up.
    let held = this.awaited.reduce((sum, one) => sum + one.size, 0);
    while (this.awaited.length > AWAITED || (held > AWAITED_BYTES && this.awaited.length > 1)) held -= this.awaited.shift().size;
    this.total.out++;
    this.total.outBytes += size;
    note({ way: 'out', letter: this.letter, kind: typeof data === 'string' ? 'text' : 'binary', size, data, name });
  }

  received(data, now) {
    if (typeof data !== 'string') data = new Uint8Array(data);
    const size = toBytes(data).length;
    this.total.in++;
    this.total.inBytes += size;
    const report = $('ping').checked && typeof data === 'string' && this.reportsPings() && /^\{"ping":(\d+),"rtt_ms":([\d.]+)\}$/.exec(data);
    if (report) {
      this.trips.pings.sent = Number(report[1]);
      this.trips.add('pings', Number(report[2]));
    }
    // Echoes come in the order sent, perhaps with others' messages between: the oldest equal one is answered.
    const at = this.awaited.findIndex(sent => sent.size === size && same(sent.data, data));
    const sent = at < 0 ? null : this.awaited.splice(0, at + 1)[at];
    if (sent) this.trips.add('messages', now - sent.at);
    note({ way: 'in', letter: this.letter, kind: typeof data === 'string' ? 'text' : 'binary', size, data, rtt: sent && now - sent.at });
  }
}
