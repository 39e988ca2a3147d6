'use strict';

// The link's secret: it comes from the fragment, goes out in the body of one POST, and is kept nowhere.
const token = location.hash.slice(1);
/** Whether the page is at /l or at /l/, this script is in the same place. */
const root = new URL('..', document.currentScript.src);
const isDropBox = token.startsWith('u.');
const at = (id) => document.getElementById(id);
const show = (id, shown = true) => {
  at(id).hidden = !shown;
};

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
function sized(bytes) {
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < UNITS.length - 1; unit += 1) value /= 1024;
  if (bytes === 1) return '1 byte';
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

const REFUSALS = {
  not_found: 'This link does not exist (any more).',
  file_not_found: 'The file is not there any more.',
  link_expired: 'This link has expired or has no downloads left.',
  unauthenticated: 'This page is no longer ready. Open the link again.',
  token_expired: 'The time of this page is over. Open the link again.',
  too_many_attempts: 'Too many wrong passwords. Try again in a quarter of an hour.',
  rate_limited: 'There is a crowd just now. Try again in a moment.',
  too_large: 'The file is larger than this box takes.',
  quota_exceeded: 'The receiver has no room for this file.',
  storage_full: 'There is no room for this file just now.',
  conflict: 'A file was sent already. Open the link again to send another.',
};
/** Refusals after which neither the same link nor the same page is of use. */
const FINAL = ['not_found', 'file_not_found', 'link_expired', 'unauthenticated', 'token_expired', 'conflict'];
const PASSING = 'That did not work just now. Try again in a moment.';

/** What a refusal says. One that the same request meets again each time is not called passing. */
function saidOf({ code, status, detail, errors }) {
  if (REFUSALS[code]) return REFUSALS[code];
  if (!(status >= 400 && status < 500) || status === 408 || status === 429) return PASSING;
  const [fault] = errors || [];
  if (fault && fault.pointer === '/name')
    return `The name of the file ${fault.message}. Rename it, and choose it again.`;
  return `This cannot work: ${(fault && fault.message) || detail || 'the server refuses it'}.`.replace(/[.]{2}$/, '.');
}

/** Marks that change the direction of text, or are not seen, would make a name look like another one. Joiners are part of emoji. */
const HIDDEN_MARKS = /(?![\u200c\u200d\u{e0020}-\u{e007f}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const harmless = (name) => name.replace(HIDDEN_MARKS, '\ufffd');

async function open() {
  const password = at('password').value;
  const answer = await fetch(new URL(isDropBox ? 'upload-links/open' : 'links/open', root), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(password === '' ? { token } : { token, password }),
  });
  const body = await answer.json();
  if (answer.ok) return body;
  throw body;
}

function refuse(problem) {
  if (FINAL.includes(problem.code)) return end(saidOf(problem));
  const asked = !at('password-row').hidden;
  const needsPassword = problem.code === 'login_failed';
  if (needsPassword) show('password-row');
  at('gate-error').textContent = needsPassword
    ? asked
      ? 'That was not the password.'
      : 'This link has a password.'
    : saidOf(problem);
  show('gate-error');
  if (needsPassword) at('password').focus();
}

/** Nothing on this page can help any more: no button is left on it. */
function end(text, title = 'This link is over') {
  for (const part of ['gate', 'file', 'box']) show(part, false);
  at('preview').replaceChildren();
  at('over-title').textContent = title;
  at('over-text').textContent = text;
  show('over');
}

async function submit(event) {
  event.preventDefault();
  at('open').disabled = true;
  show('gate-error', false);
  try {
    const opened = await open();
    const until = Date.now() + opened.expires_in * 1000;
    // Spent: neither the history nor a look over the shoulder is to give the secret away. A reload goes on with what is kept here: a
    // download's ticket is in its cookie, and a drop box's has no other place.
    const kept = isDropBox ? { box: { ...opened, until } } : { file: { ...opened, ticket: undefined } };
    remember(kept);
    show('gate', false);
    goOn(kept);
  } catch (problem) {
    refuse(problem);
  } finally {
    at('open').disabled = false;
  }
}

const remember = (kept) => history.replaceState(kept, '', location.pathname);

function goOn({ file, box, said }) {
  if (file) offerFile(file);
  else if (box && Date.now() < box.until) offerBox(box);
  else if (said) end(said, 'The file was sent');
  else end(REFUSALS.token_expired);
}

function offerFile({ name, size, content_type: type, ticket_id: id }) {
  const content = new URL(`links/content/${id}`, root).href;
  at('file-name').textContent = name === null ? 'A file without a name' : harmless(name);
  at('file-facts').textContent = `${sized(size)} · ${type}`;
  at('download').href = content;
  at('download').addEventListener('click', (event) => download(event, content));
  preview(type, content);
  show('file');
}

/** Asks first: a browser shows nothing of why a download was refused. */
async function download(event, content) {
  if (!event.isTrusted) return;
  event.preventDefault();
  const refused = await refusalOf(content);
  if (refused === undefined) at('download').click();
  else if (FINAL.includes(refused.code)) end(saidOf(refused));
  else at('file-note').textContent = saidOf(refused);
}

/** The answer to HEAD has no body: its status stands for the code. */
async function refusalOf(content) {
  const { ok, status } = await fetch(content, { method: 'HEAD' }).catch(() => ({ ok: false }));
  if (ok) return undefined;
  return {
    status,
    code: { 401: 'token_expired', 404: 'file_not_found', 410: 'link_expired', 429: 'rate_limited' }[status],
  };
}

/** The browser asks for ranges by the cookie: a film plays without being loaded whole. */
function preview(type, content) {
  const tag = { video: 'video', audio: 'audio', image: 'img' }[type.split('/')[0]];
  if (tag === undefined || type.startsWith('image/svg')) return;
  const media = document.createElement(tag);
  if (tag === 'img') media.alt = '';
  else Object.assign(media, { controls: true, preload: 'metadata' });
  media.addEventListener('error', () => show('preview', false));
  media.src = content;
  at('preview').append(media);
  show('preview');
}

function offerBox({ ticket, max_size: largest }) {
  if (largest !== null) at('box-facts').textContent += ` At most ${sized(largest)}.`;
  const drop = at('drop');
  const take = ([file]) => {
    if (file && largest !== null && file.size > largest) finish(REFUSALS.too_large, true);
    else send(ticket, file);
  };
  at('chosen').addEventListener('change', () => take(at('chosen').files));
  for (const name of ['dragover', 'dragleave', 'drop']) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', name === 'dragover');
      if (name === 'drop') take(event.dataTransfer.files);
    });
  }
  show('box');
}

function send(ticket, file) {
  if (file === undefined) return;
  const query = new URLSearchParams({ name: file.name, content_type: file.type || 'application/octet-stream' });
  const request = new XMLHttpRequest();
  request.open('POST', new URL(`files?${query}`, root));
  request.setRequestHeader('authorization', `Bearer ${ticket}`);
  request.setRequestHeader('content-type', 'application/octet-stream');
  request.upload.addEventListener('progress', ({ loaded, total }) => {
    at('progress').value = loaded / Math.max(1, total);
  });
  request.addEventListener('load', () => sent(request, file));
  request.addEventListener('error', () => finish('The connection broke. Choose the file again.', true));
  show('drop', false);
  show('box-result', false);
  show('progress');
  request.send(file);
}

function sent(request, file) {
  let body = {};
  try {
    body = JSON.parse(request.responseText);
  } catch {
    /* Not ours: said as any other fault. */
  }
  if (request.status === 201) {
    const said = `Sent: ${harmless(file.name)}, ${sized(body.size)}. SHA-256 ${body.sha256}`;
    remember({ said });
    finish(said, false);
  } else if (FINAL.includes(body.code)) end(saidOf(body));
  else finish(saidOf({ status: request.status, ...body }), true);
}

function finish(text, again) {
  show('progress', false);
  show('drop', again);
  at('box-result').textContent = text;
  at('box-result').className = again ? 'error' : 'muted';
  show('box-result');
  // The same file can be chosen again.
  at('chosen').value = '';
}

// A link that is pasted where this page is open changes the fragment alone.
addEventListener('hashchange', () => location.reload());

if (/^[du]\.[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}$/.test(token)) {
  if (isDropBox) {
    document.title = 'Send a file · Coffer';
    at('gate-title').textContent = 'Somebody asks you for a file';
    at('gate-text').textContent = 'You can send one file, and see none of theirs.';
  }
  at('gate').addEventListener('submit', submit);
  show('gate');
} else if (token === '' && history.state) {
  goOn(history.state);
} else {
  show('broken');
}
