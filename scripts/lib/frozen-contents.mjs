// What a frozen installation holds, made over HTTP. test/vectors/frozen-installations.spec.ts reads the manifest that comes of it.
import { createHash, createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const PASSWORD = 'Frozen-Horse-7-Battery';
/** More than a rotation's first batch of 200, so that a kill after it leaves some keys undone. */
const OTHERS = 210;
const DAY = 86_400;

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
/** Bytes that a test makes anew from the two numbers. */
export const pattern = (seed, size) => Buffer.from(Array.from({ length: size }, (_, at) => (at * seed + at) % 251));
const described = (seed, size) => ({ seed, size, sha256: sha256(pattern(seed, size)) });

/** Requests as one person (or nobody), which must succeed. */
export function caller(url, token) {
  const send = async (method, path, { json, body, headers = {} } = {}) => {
    const answer = await fetch(url + path, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(json && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: json ? JSON.stringify(json) : body,
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return { headers: answer.headers, json: text.startsWith('{') ? JSON.parse(text) : undefined };
  };
  return {
    token,
    send,
    post: async (path, json) => (await send('POST', path, { json })).json,
    get: async (path) => (await send('GET', path)).json,
  };
}

async function person(url, username) {
  const known = { username, email: `${username}@example.org`, password: PASSWORD };
  const nobody = caller(url);
  await nobody.post('/register', known);
  const { access_token } = await nobody.post('/login', { username, password: PASSWORD });
  const own = caller(url, access_token);
  const { id, role } = await own.get('/me');
  return { own, known: { ...known, id, role } };
}

/** Everything but the paused rotation, which takes a process that dies. */
export async function fill(url) {
  const admin = await person(url, 'frozen-admin');
  const alice = await person(url, 'frozen-alice');
  const bob = await person(url, 'frozen-bob');
  const usernames = Array.from({ length: OTHERS }, (_, n) => `frozen-other-${n}`);
  const register = (username) =>
    caller(url).post('/register', { username, email: `${username}@example.org`, password: PASSWORD });
  // Together, so that they share batches of the audit log.
  while (usernames.length > 0) await Promise.all(usernames.splice(0, 30).map(register));
  const people = { admin: admin.known, alice: alice.known, bob: bob.known };
  const own = alice.own;
  const records = await recordsOf({ admin, alice, bob });
  const files = await filesOf(own);
  const shared = await sharingOf(own, files, people);
  const idempotent = await answered(own);
  await rotateUserKey(own);
  const upload = await unfinished(url, own);
  const erased = await eraseSomebody(url, admin.own);
  const finished = (await admin.own.post('/rotate-master-key')).rotation;
  // After the rotations: a second file and record under the later keys.
  records.push(await record('alice', own, 'note', 'after the rotations'));
  const factor = await secondFactor(own);
  people.alice = { ...people.alice, ...factor };
  return {
    admin: admin.own,
    contents: { people, others: OTHERS, records, files, ...shared, idempotent, upload, erased, finished },
  };
}

async function record(owner, own, data_type, value) {
  const { id } = await own.post('/sensitive-data', { data_type, value });
  return { owner, id, data_type, value };
}

async function recordsOf({ admin, alice, bob }) {
  const made = [
    await record('alice', alice.own, 'card_number', '4111111111111111'),
    await record('alice', alice.own, 'note', 'Grüße, 雪 and a line\nmore'),
    await record('alice', alice.own, 'api.key-2', 'x'.repeat(3000)),
    await record('bob', bob.own, 'passport', 'C01X00T47'),
    await record('admin', admin.own, 'note', 'what the administrator keeps'),
  ];
  await alice.own.send('PUT', `/sensitive-data/${made[1].id}`, {
    json: { data_type: 'note', value: 'its second value' },
  });
  made[1].value = 'its second value';
  return made;
}

const RAW = { 'content-type': 'application/octet-stream' };

async function file(own, name, content, fields = {}) {
  const query = new URLSearchParams({ name, ...fields });
  const body = pattern(content.seed, content.size);
  const { json } = await own.send('POST', `/files?${query}`, { body, headers: RAW });
  return { view: json, versions: [content] };
}

async function replace(own, made, content) {
  const body = pattern(content.seed, content.size);
  const { json } = await own.send('PUT', `/files/${made.view.id}/content`, {
    body,
    headers: { ...RAW, 'if-match': '*' },
  });
  return { view: json, versions: [...made.versions, content] };
}

async function filesOf(own) {
  const small = await file(own, 'small ü.txt', described(3, 20), { content_type: 'text/plain' });
  const empty = await file(own, 'empty', described(1, 0));
  const several = await replace(
    own,
    await replace(own, await file(own, 'several.bin', described(5, 70_000)), described(7, 100)),
    described(11, 66_000),
  );
  const envelope = { alg: 'A256GCM', iv: 'c2FtcGxl', nested: { n: 1 } };
  const sealed = await file(own, 'sealed.bin', described(13, 500), {
    client_encrypted: 'true',
    envelope: JSON.stringify(envelope),
  });
  const ending = await file(own, 'ending.bin', described(17, 64), { expires_in: String(36_500 * DAY) });
  const trashed = await file(own, 'trashed.bin', described(19, 64));
  await own.send('DELETE', `/files/${trashed.view.id}`);
  const exported = await own.get(`/files/${several.view.id}/key`);
  return { small, empty, several: { ...several, exported }, sealed, ending, trashed: { ...trashed, trashed: true } };
}

async function sharingOf(own, files, { bob }) {
  const group = await own.post('/groups', { name: 'readers' });
  await own.send('PUT', `/groups/${group.id}/members/${bob.username}`);
  const grants = [
    await own.post(`/files/${files.small.view.id}/grants`, { username: bob.username }),
    await own.post(`/files/${files.several.view.id}/grants`, { group: group.id }),
    await own.post(`/files/${files.ending.view.id}/grants`, { email: 'nobody-yet@example.org' }),
  ];
  const token = ({ url }) => new URL(url).hash.slice(1);
  const password = 'open sesame, frozen';
  const link = await own.post(`/files/${files.several.view.id}/links`, { max_downloads: 100, password });
  const box = await own.post('/upload-links', { max_uploads: 100, password });
  return {
    group,
    grants,
    link: { id: link.id, file: 'several', token: token(link), password },
    upload_link: { id: box.id, token: token(box), password },
  };
}

/** A request whose answer is kept for a day. */
async function answered(own) {
  const json = { data_type: 'note', value: 'sent with a key' };
  const key = 'frozen-key-1';
  const answer = await own.send('POST', '/sensitive-data', { json, headers: { 'idempotency-key': key } });
  return { key, json, answer: answer.json };
}

async function rotateUserKey(own) {
  await own.post('/keys/rotate');
  for (;;) {
    const { user_key: key } = await own.get('/keys');
    if (key.current === 2 && key.versions.length === 1) return;
    await sleep(100);
  }
}

async function unfinished(url, own) {
  const content = described(23, 9000);
  const name = 'unfinished.bin';
  const tus = { 'tus-resumable': '1.0.0' };
  const { headers } = await own.send('POST', '/uploads', {
    headers: {
      ...tus,
      'upload-length': String(content.size),
      'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
    },
  });
  const path = new URL(headers.get('location'), url).pathname;
  const sent = 4000;
  await own.send('PATCH', path, {
    headers: { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    body: pattern(content.seed, content.size).subarray(0, sent),
  });
  return { path, name, sent, ...content };
}

async function eraseSomebody(url, admin) {
  const gone = await person(url, 'frozen-gone');
  await gone.own.post('/sensitive-data', { data_type: 'note', value: 'erased' });
  const { json } = await admin.send('DELETE', `/users/${gone.known.id}`);
  return { ...gone.known, answer: json };
}

async function secondFactor(own) {
  const { secret } = await own.post('/2fa/totp');
  await own.post('/2fa/totp/confirm', { otp: totpCode(secret) });
  const { codes } = await own.post('/2fa/recovery-codes');
  return { totp_secret: secret, recovery_codes: codes };
}

/** RFC 6238 with SHA-1, six digits and 30 seconds. */
function totpCode(secret) {
  const bits = [...secret.replace(/=+$/, '')]
    .map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', key).update(counter).digest();
  const number = mac.readUInt32BE(mac.at(-1) & 0x0f) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}
