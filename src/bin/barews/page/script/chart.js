/* Round trips of the connection that is chosen: its handshakes, its messages that came back, and Pings.

   A connection keeps its figures over a reconnect to the same URL, and begins anew with another. */

const BARS = 120, SAMPLES = 1000, TRIPS = ['handshakes', 'messages', 'pings'];

/** How often something was sent and came back, and in what time. */
const newFigures = () => ({ sent: 0, back: 0, times: [] });

class RoundTrips {
  constructor() {
    for (const kind of TRIPS) this[kind] = newFigures();
    this.last = []; // for the chart
  }

  add(kind, time) {
    this[kind].back++;
    if (this[kind].times.push(time) > SAMPLES) this[kind].times.shift();
    if (this.last.push({ kind, time }) > BARS) this.last.shift();
    paintLater();
  }
}

/* A logarithmic scale, from the power of ten below the shortest to that above the longest. */
function drawChart(last) {
  const times = last.map(trip => Math.max(.01, trip.time));
  const low = times.length ? Math.floor(Math.log10(Math.min(...times))) : 0;
  const high = times.length ? Math.max(low + 1, Math.ceil(Math.log10(Math.max(...times)))) : 2;
  const height = time => 100 * (Math.log10(time) - low) / (high - low);
  const path = (look, parts) => $('chart').querySelector(`.${look}`).setAttribute('d', parts.join(''));
  const left = i => BARS - times.length + i;
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i))
    .flatMap(power => high - low > 2 ? power : [power, 2 * power, 5 * power]).filter(tick => height(tick) < 101);
  path('rules', ticks.map(tick => `M0 ${100 - height(tick)}H${BARS}`));
  path('stems', times.map((time, i) => `M${left(i) + .15} 100V${100 - height(time)}h.7V100z`));
  for (const kind of TRIPS) {
    path(kind, times.map((time, i) => last[i].kind === kind ? `M${left(i) + .15} ${98.5 - height(time)}h.7v3h-.7z` : ''));
  }
  $('scale').replaceChildren(...ticks.map(tick => {
    const label = element('span', '', +tick.toPrecision(1));
    label.style.bottom = `${height(tick)}%`;
    return label;
  }));
  $('chart').setAttribute('aria-label', times.length === 0 ? 'No round trips yet' :
    `Chart of the last ${plural(times.length, 'round trip')}, from ${ms(Math.min(...times))} to ${ms(Math.max(...times))} milliseconds`);
}

function drawFigures() {
  const { trips } = current();
  drawChart(trips.last);
  for (const kind of TRIPS) {
    const { sent, back, times } = trips[kind];
    const sorted = [...times].sort((a, b) => a - b), n = sorted.length;
    const average = sorted.reduce((sum, time) => sum + time, 0) / n;
    const figures = n ? [sorted[0], average, sorted[Math.ceil(n * .99) - 1], sorted[n - 1]].map(ms) : ['–', '–', '–', '–'];
    $(kind).replaceChildren($(kind).firstElementChild, ...[number(sent), number(back), ...figures].map(text => element('td', '', text)));
  }
}

/* Pings. A browser cannot send Ping frames, and a message in their place would reach others in a room. So a
   connection of its own goes to /echo of this server, while there is another one to it. On /ping/{seconds} the
   server sends real ones, and tells of each. */

const pinger = { socket: null, sent: 0, awaited: null };
const PING_URL = new URL('echo', location.href.replace(/^http/, 'ws'));
PING_URL.hash = PING_URL.search = '';
const pinged = () => connections.filter(one => one.isOpen() && one.isHere() && !one.reportsPings());

function pingOnce() {
  const wanted = $('ping').checked && pinged().length > 0;
  if (!wanted) {
    pinger.socket?.close();
    pinger.socket = null;
    return;
  }
  if (!pinger.socket || pinger.socket.readyState > WebSocket.OPEN) startPinger();
  if (pinger.socket.readyState !== WebSocket.OPEN || pinger.awaited) return;
  pinger.awaited = { text: `ping ${++pinger.sent}`, at: performance.now() };
  pinger.socket.send(pinger.awaited.text);
  for (const one of pinged()) one.trips.pings.sent++;
  paintLater();
}

function startPinger() {
  const socket = pinger.socket = new WebSocket(PING_URL);
  pinger.awaited = null;
  socket.onopen = pingOnce;
  socket.onmessage = ({ data }) => {
    if (socket !== pinger.socket || data !== pinger.awaited?.text) return;
    const time = performance.now() - pinger.awaited.at;
    pinger.awaited = null;
    for (const one of pinged()) one.trips.add('pings', time);
  };
}

function explainPings() {
  const one = current();
  $('how').textContent = one.reportsPings() ? 'On this path: real Ping frames, which the server sends and times. This page counts its reports.' :
    one.isHere() ? 'Pings: short texts on a connection of their own to /echo, for a browser cannot send Ping frames. /ping/{seconds} has real ones.' :
      'Only connections to this server have pings: at another one they would be messages.';
}

on('ping', 'change', pingOnce);
on('forget', 'click', () => {
  current().trips = new RoundTrips();
  drawFigures();
});
setInterval(pingOnce, 1000);
