// Shows what /status.json says, twice a second, and /policy.json whenever the file was loaded anew. What clients and servers
// call things becomes text and nothing else: no markup is ever made of it.
'use strict';

const every_ms = 500;
const at = (id) => document.getElementById(id);

let paused = false;
let generation;
let seen = 0;
const lines = new Map(); // of the rules, by route and rule

// An element with a class and what is in it: texts, elements, or nothing.
function make(tag, name, ...inside) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  const there = inside.filter((part) => part !== null && part !== undefined && part !== false);
  made.append(...there.map((part) => (part instanceof Node ? part : String(part))));
  return made;
}

const header = (scope, name, ...inside) => {
  const made = make('th', name, ...inside);
  made.scope = scope;
  return made;
};

// Replaces what is in `place`, unless it is the same already: so that nobody loses what they selected.
function put(place, ...parts) {
  const fresh = make(place.tagName, '', ...parts);
  if (fresh.innerHTML !== place.innerHTML) place.replaceChildren(...fresh.childNodes);
}

const clock = (time) => {
  const shown = make('time', '', new Date(time).toLocaleTimeString([], { hour12: false }));
  shown.dateTime = time;
  shown.title = time;
  return shown;
};

function age(secs) {
  if (secs === null) return 'never fetched';
  if (secs < 120) return `${secs} s`;
  if (secs < 7200) return `${Math.floor(secs / 60)} min`;
  return `${Math.floor(secs / 3600)} h`;
}

function amount(name, value) {
  if (!name.includes('bytes')) return value.toLocaleString();
  if (value < 1024) return `${value} B`;
  return value < 1 << 20 ? `${Math.round(value / 1024)} KiB` : `${Math.round(value / 1048576)} MiB`;
}

function anchor(route, rule) {
  return `policy-${route}-${rule}`.replace(/[^\w.-]/g, '-');
}

async function fetched(path) {
  const answer = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

async function look() {
  try {
    if (!paused && !document.hidden) {
      const status = await fetched('/status.json');
      if (status.file.generation !== generation) {
        showPolicies(await fetched('/policy.json'));
        generation = status.file.generation;
        at('decided').replaceChildren();
        seen = 0;
      }
      show(status);
    }
  } catch {
    showState('no answer', 'bad');
    trouble('Gatepost does not answer: what is shown here is old.');
  }
  setTimeout(look, every_ms);
}

function trouble(text) {
  at('trouble').hidden = !text;
  put(at('trouble'), text);
}

function showState(text, mood) {
  at('state').className = `badge ${mood}`;
  put(at('state'), text);
}

function show(status) {
  const lacking = status.issuers.filter(({ usable }) => usable === 0);
  at('version').textContent = status.version;
  if (status.draining) showState('draining', 'warn');
  else if (!status.ready) showState('not ready', 'bad');
  else if (lacking.length) showState('ready, not for all issuers', 'warn');
  else showState('ready', 'good');
  const { file } = status;
  put(at('file'), 'file loaded ', clock(file.loaded), file.generation ? `, ${file.generation} times anew` : '');
  trouble([
    file.last_error && `Loading the file again failed; the one before is served. ${file.last_error}`,
    ...lacking.map(({ issuer, last_error }) => `No keys of ${issuer}: ${last_error ?? 'not fetched yet'}`),
    status.audit_lost > 0 && `${status.audit_lost} audit records were lost`,
  ].filter(Boolean).join('\n'));
  put(at('limits'), ...status.limits.map(showLimit));
  put(at('upstreams'), ...status.routes.map(showRoute));
  put(at('keys'), ...status.issuers.map(showIssuer));
  showDecisions(status.decisions);
}

function showLimit({ name, used, max }) {
  const bar = make('meter');
  bar.max = max || 1;
  bar.high = bar.max * 0.8;
  bar.value = used;
  bar.setAttribute('aria-label', name);
  return make('div', '', make('dt', '', name), make('dd', '', amount(name, used), make('small', '', ` of ${amount(name, max)}`)), bar);
}

function showRoute({ name, state, answered, fault, streams }) {
  const mood = { answers: 'good', fails: 'bad', unused: '' }[state];
  return make('tr', '',
    header('row', '', name),
    make('td', '', make('span', `badge ${mood}`, state)),
    make('td', 'time', answered && clock(answered)),
    make('td', '', fault && clock(fault.at), fault && ` ${fault.reason}`, fault && make('small', '', fault.detail)),
    make('td', 'number', streams));
}

function showIssuer({ issuer, usable, age_secs, age_max_secs, last_error, lacking_since }) {
  const old = age_secs !== null && age_secs > age_max_secs / 2;
  const mood = usable === 0 ? 'bad' : old ? 'warn' : 'good';
  return make('tr', '',
    header('row', 'code', issuer),
    make('td', 'number', make('span', `badge ${mood}`, usable)),
    make('td', '', age(age_secs), lacking_since && make('small', '', 'none since ', clock(lacking_since))),
    make('td', '', last_error && make('small', '', last_error)));
}

function showDecisions(decisions) {
  const table = at('decided');
  const first = seen === 0;
  const fresh = decisions.filter(({ number }) => number > seen);
  table.prepend(...fresh.map((decided) => showDecision(decided, !first)));
  seen = decisions[0]?.number ?? seen;
  while (table.rows.length > 100) table.lastElementChild.remove();
  at('nothing').hidden = table.rows.length > 0;
}

function showDecision(decided, isNew) {
  const allowed = decided.decision === 'allowed';
  const clean = allowed && !decided.reason && !decided.would_deny;
  const word = decided.would_deny ? 'would deny' : !allowed ? 'refused' : decided.reason ? 'failed' : 'allowed';
  const mood = clean ? 'good' : word === 'refused' ? 'bad' : 'warn';
  const reason = decided.reason ?? decided.would_deny;
  const row = make('tr', isNew ? 'new' : '',
    make('td', 'time', clock(decided.time)),
    make('td', '', make('span', `badge ${mood}`, word)),
    make('td', '', decided.subject ?? decided.client ?? make('span', 'quiet', decided.issuer ? 'no subject' : 'not known'),
      make('small', '', decided.subject && decided.client ? `${decided.client}, ` : '', decided.peer.replace(/:\d+$/, ''))),
    make('td', '', decided.route),
    make('td', 'code', decided.method),
    make('td', 'code', decided.name),
    make('td', '', reason, decided.detail && make('small', '', decided.detail),
      (!allowed || decided.would_deny) && decided.scopes_needed && make('small', '', 'needs ', make('span', 'code', decided.scopes_needed))),
    make('td', '', decided.rule && showRule(decided)));
  row.hidden = clean && at('refused').checked;
  row.dataset.clean = clean;
  return row;
}

function showRule({ route, rule }) {
  const line = lines.get(`${route} ${rule}`);
  if (line === undefined) return make('span', 'code', rule);
  const link = make('a', 'code', rule);
  link.href = `#${anchor(route, rule)}`;
  return make('span', '', link, make('small', '', `line ${line}`));
}

function showPolicies(policies) {
  lines.clear();
  for (const { route, rules } of policies) {
    for (const { rule, line } of rules) lines.set(`${route} ${rule}`, line);
  }
  put(at('policies'), ...policies.map(showPolicy));
}

function showPolicy(policy) {
  const scopes = [...new Set(policy.rules.flatMap((rule) => rule.scopes))];
  const table = make('table', 'matrix',
    make('caption', '', ...about(policy)),
    make('thead', '', make('tr', '', header('col', '', 'Rule'), header('col', '', 'About'), header('col', '', 'Name'),
      ...scopes.map((scope) => header('col', 'mark code', scope)), header('col', 'fill', ''))),
    ...policy.rules.map((rule) => showGroup(policy, rule, scopes)), otherwise(policy, scopes));
  const region = make('div', 'scroll', table);
  region.tabIndex = 0;
  region.setAttribute('role', 'region');
  region.setAttribute('aria-label', `Policy of ${policy.route}`);
  return region;
}

function about({ route, url, upstream, required_scopes, mode, visibility, denial }) {
  const parts = [make('strong', '', route), ' ', make('span', 'code', url), ' → ', make('span', 'code', upstream)];
  if (required_scopes.length) parts.push(' · every request needs ', make('span', 'code', required_scopes.join(' ')));
  if (mode === 'report') parts.push(' ', make('span', 'badge warn', 'only reports'));
  parts.push(` · lists show ${{ grantable: 'what may be used or got', granted: 'what may be used', all: 'everything' }[visibility]}`);
  if (denial === 'hide') parts.push(' · what is refused is hidden');
  return parts;
}

function showGroup({ route, mode }, { rule, line, about: kind, names, effect, scopes: needed, enforced }, scopes) {
  const rows = names.map((name, place) => {
    const row = make('tr');
    if (place === 0) {
      const first = header('rowgroup', '', make('span', 'code', rule), make('small', 'quiet', ` line ${line}`));
      first.rowSpan = names.length;
      row.append(first);
    }
    row.append(make('td', 'quiet', kind), header('row', 'code', name));
    for (const scope of scopes) row.append(mark(needed.includes(scope), effect));
    row.append(make('td', 'fill', verdict(effect, enforced), ' ', mode === 'report' && enforced ? make('span', 'badge warn', 'enforced') : null));
    return row;
  });
  const group = make('tbody', '', ...rows);
  group.id = anchor(route, rule);
  return group;
}

// What is said of a name whatever the scopes, if anything is.
function verdict(effect, enforced) {
  if (effect === 'allow') return make('span', 'badge good', 'open');
  if (effect !== 'deny') return null;
  return enforced ? make('span', 'badge bad', 'denied') : make('span', 'badge warn', 'would be denied');
}

function mark(needed, effect) {
  if (!needed) return make('td', 'mark');
  const [sign, said] = effect === 'any' ? ['○', 'one of these'] : ['●', 'needed'];
  const shown = make('span', effect, sign);
  shown.setAttribute('aria-hidden', 'true');
  return make('td', 'mark', shown, make('span', 'said', said));
}

function otherwise({ mode, default: word }, scopes) {
  const row = make('tr', '', header('row', '', make('span', 'code', 'default')), make('td'), make('td', 'quiet', 'everything else'),
    ...scopes.map(() => make('td')),
    make('td', 'fill', verdict(word, mode === 'enforce')));
  return make('tbody', '', row);
}

at('pause').addEventListener('click', () => {
  paused = !paused;
  at('pause').setAttribute('aria-pressed', paused);
});

at('refused').addEventListener('change', () => {
  for (const row of at('decided').rows) {
    row.classList.remove('new');
    row.hidden = at('refused').checked && row.dataset.clean === 'true';
  }
});

look();
