/* Why a handshake was refused.

   To a script a browser says only that the connection failed, whatever the server answered. So the same URL is asked
   by plain HTTP, and a server that refuses both alike says why. Without cookies, and so without a dialogue that
   asks for a password. Of another origin a browser shows the answer only if that allows it (CORS). */

const ANSWER_TIMEOUT = 5000, ANSWER_SHOWN = 300;
const HEADERS_SHOWN = ['www-authenticate', 'retry-after', 'location', 'allow', 'upgrade'];

/** { text, status, retryAfter in ms }: what is known of it. */
async function askWhy(wsUrl) {
  const url = new URL(wsUrl);
  url.protocol = url.protocol.replace('ws', 'http');
  url.username = url.password = '';
  const here = url.origin === location.origin;
  const ask = options => fetch(url, { cache: 'no-store', credentials: 'omit', redirect: 'manual', signal: AbortSignal.timeout(ANSWER_TIMEOUT), ...options });
  try {
    const answer = await ask({ mode: 'cors' });
    if (answer.type === 'opaqueredirect') return { text: await whereTo(ask), status: 300 };
    return { ...await told(answer), status: answer.status };
  } catch (error) {
    if (here) return { text: nothing(error) };
  }
  try {
    await ask({ mode: 'no-cors', redirect: 'follow' });
    return { text: `${url.origin} does answer by HTTP, but a browser hides what another origin answers: Copy for curl has a command that shows it` };
  } catch (error) {
    return { text: nothing(error) };
  }
}

function nothing(error) {
  return error.name === 'TimeoutError' ? `asked by plain HTTP, nothing came within ${ANSWER_TIMEOUT / 1000} s` :
    'asked by plain HTTP, nothing answers either: no server there, another name, or a certificate that the browser does not trust';
}

/** Where a redirect leads is hidden, but not where one comes out that follows it. */
async function whereTo(ask) {
  const what = 'asked by plain HTTP: a redirect, which no browser follows for a WebSocket';
  try {
    const answer = await ask({ redirect: 'follow' });
    await answer.body?.cancel();
    return `${what}; it leads to ${answer.url}`;
  } catch {
    return what;
  }
}

/** The start of a body, however long that is. */
async function startOf(answer) {
  const reader = answer.body?.getReader();
  let bytes = [];
  while (reader && bytes.length < 4 * ANSWER_SHOWN) {
    const { value, done } = await reader.read();
    if (done) break;
    bytes = bytes.concat(...value.subarray(0, 4 * ANSWER_SHOWN));
  }
  reader?.cancel().catch(() => {});
  return cutText(toText(Uint8Array.from(bytes)).trim(), ANSWER_SHOWN);
}

async function told(answer) {
  const body = await startOf(answer).catch(() => '');
  const headers = HEADERS_SHOWN.filter(name => answer.headers.has(name)).map(name => `${name}: ${answer.headers.get(name)}`);
  const status = [answer.status, answer.statusText].filter(Boolean).join(' ');
  const meaning = answer.status === 426 ? ['the path is right, so it is about something that only the handshake has: a subprotocol, the origin, a fault of its making'] : [];
  const after = Number(answer.headers.get('retry-after'));
  return {
    text: [`asked by plain HTTP: ${status}`, ...headers, ...meaning, ...body ? [body] : []].join('\n'),
    retryAfter: after > 0 ? after * 1000 : 0,
  };
}
