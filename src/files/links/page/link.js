'use strict';

// The link's secret: it comes from the fragment, goes out in the body of one POST, and is kept nowhere.
const token = location.hash.slice(1);
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
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

const REFUSALS = {
  not_found: 'This link does not exist (any more).',
  file_not_found: 'The file is not there any more.',
  link_expired: 'This link is past its time, or was opened as often as it may be.',
  too_many_attempts: 'Too many wrong passwords. Try again in a quarter of an hour.',
  rate_limited: 'There is a crowd just now. Try again in a moment.',
  too_large: 'The file is larger than this box takes.',
  quota_exceeded: 'The receiver has no room for this file.',
  storage_full: 'There is no room for this file just now.',
  conflict: 'A file was sent already. Open the link again to send another.',
  token_expired: 'That took longer than five minutes. Open the link again.',
};
const saidOf = (problem) => REFUSALS[problem.code] || 'That did not work just now. Try again in a moment.';

async function open() {
  const password = at('password').value;
  const answer = await fetch(isDropBox ? 'upload-links/open' : 'links/open', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(password === '' ? { token } : { token, password }),
  });
  const body = await answer.json();
  if (answer.ok) return body;
  throw body;
}

function refuse(problem) {
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

async function submit(event) {
  event.preventDefault();
  at('open').disabled = true;
  show('gate-error', false);
  try {
    const opened = await open();
    // Spent: neither the history nor a look over the shoulder is to give it away.
    history.replaceState(null, '', location.pathname);
    show('gate', false);
    if (isDropBox) offerBox(opened);
    else offerFile(opened);
  } catch (problem) {
    refuse(problem);
  } finally {
    at('open').disabled = false;
  }
}

function offerFile({ name, size, content_type: type, expires_in: seconds }) {
  at('file-name').textContent = name ?? 'A file without a name';
  at('file-facts').textContent = `${sized(size)} · ${type}`;
  if (name !== null) at('download').download = name;
  preview(type);
  countDown(seconds);
  show('file');
}

/** The browser asks for ranges by the cookie: a film plays without being loaded whole. */
function preview(type) {
  const tag = { video: 'video', audio: 'audio', image: 'img' }[type.split('/')[0]];
  if (tag === undefined || type.startsWith('image/svg')) return;
  const media = document.createElement(tag);
  if (tag === 'img') media.alt = '';
  else Object.assign(media, { controls: true, preload: 'metadata' });
  media.addEventListener('error', () => show('preview', false));
  media.src = 'links/content';
  at('preview').append(media);
  show('preview');
}

function countDown(seconds) {
  const end = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000));
    at('left').textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
    if (left > 0) setTimeout(tick, 1000);
  };
  tick();
}

function offerBox({ ticket, max_size: largest }) {
  if (largest !== null) at('box-facts').textContent += ` At most ${sized(largest)}.`;
  const drop = at('drop');
  at('chosen').addEventListener('change', () => send(ticket, at('chosen').files[0]));
  for (const name of ['dragover', 'dragleave', 'drop']) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', name === 'dragover');
      if (name === 'drop') send(ticket, event.dataTransfer.files[0]);
    });
  }
  show('box');
}

function send(ticket, file) {
  if (file === undefined) return;
  const query = new URLSearchParams({ name: file.name, content_type: file.type || 'application/octet-stream' });
  const request = new XMLHttpRequest();
  request.open('POST', `files?${query}`);
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
  if (request.status === 201) finish(`Sent: ${file.name}, ${sized(body.size)}. SHA-256 ${body.sha256}`, false);
  else finish(saidOf(body), !['conflict', 'token_expired', 'link_expired'].includes(body.code));
}

function finish(text, again) {
  show('progress', false);
  show('drop', again);
  at('box-result').textContent = text;
  at('box-result').className = again ? 'error' : 'muted';
  show('box-result');
}

if (/^[du]\.[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}$/.test(token)) {
  if (isDropBox) {
    document.title = 'Send a file · Coffer';
    at('gate-title').textContent = 'Somebody asks you for a file';
    at('gate-text').textContent = 'You can send one file, and see none of theirs.';
  }
  at('gate').addEventListener('submit', submit);
  show('gate');
} else {
  show('broken');
}
