/* The paths of this server, from the one table that its help and its manual are made of too. */

const GROUPS = { echo: 'Echoes', push: 'Messages unasked', end: 'Ends', handshake: 'The handshake', fault: 'Faults, with --faults', http: 'Plain HTTP' };

/** The path in an example's command, and the subprotocols that it offers. */
function tried(example) {
  const url = /\b(ws|http)s?:\/\/127\.0\.0\.1:9001(\/[^\s'"|]*)?/.exec(example);
  const subprotocols = /--protocol[= ](?:'([^']*)'|"([^"]*)"|(\S+))/.exec(example);
  return url && { plain: url[1] === 'http', path: url[2] ?? '/', subprotocols: subprotocols?.slice(1).find(Boolean) ?? '' };
}

/** An example as it is right for this server. */
function exampleHere(example) {
  const secure = location.protocol === 'https:';
  return example.replaceAll(/\b(ws|http)(s?):\/\/127\.0\.0\.1:9001/g, (_, scheme, s) => `${scheme}${secure ? 's' : s}://${location.host}`);
}

function showPath({ path, does, bounds, example, output }) {
  const item = element('div', 'path'), term = element('dt'), about = element('dd'), name = element('code');
  term.append(name);
  const at = tried(example ?? '');
  if (at?.plain) {
    const link = element('a', '', path);
    link.href = `.${path}`;
    name.append(link);
  } else name.textContent = path;
  if (at && !at.plain) {
    const go = button('Try', () => {
      current().control('url').value = at.path;
      current().control('subprotocols').value = at.subprotocols;
      sessionChanged();
      explainPings();
      current().control('toggle').focus();
    }, 'try');
    go.setAttribute('aria-label', `Try ${path}`);
    go.dataset.path = at.path;
    term.append(go);
    const option = element('option');
    option.value = at.path;
    $('urls').append(option);
  }
  about.append(element('p', '', does));
  if (bounds) about.append(element('p', 'quiet', bounds));
  if (example) {
    const command = exampleHere(example), code = element('pre', 'example', `${command}\n`);
    code.append(element('span', 'output', output ?? ''));
    const fold = element('details'), summary = element('summary', '', 'Example');
    summary.setAttribute('aria-label', `Example of ${path}`);
    fold.append(summary, code, button('Copy', () => copy(command, 'the command')));
    about.append(fold);
  }
  item.append(term, about);
  return item;
}

function grouped(paths) {
  const groups = new Map();
  for (const one of paths) groups.set(one.group ?? '', [...groups.get(one.group ?? '') ?? [], one]);
  return groups;
}

async function showPaths() {
  try {
    const answer = await fetch('paths.json');
    if (!answer.ok) throw new Error(String(answer.status));
    const groups = grouped(await answer.json());
    $('groups').replaceChildren(...Array.from(groups, ([group, paths]) => {
      const fold = element('details', 'group'), list = element('dl');
      // On a phone they would be far more than all the rest.
      fold.open = !matchMedia('(max-width: 40rem)').matches;
      list.append(...paths.map(showPath));
      fold.append(element('summary', '', GROUPS[group] ?? group), list);
      return fold;
    }));
  } catch {
    $('groups').replaceChildren(element('p', 'quiet', 'The list of paths could not be read from this server: barews --help paths has it.'));
  }
}
