import { randomBytes } from 'node:crypto';
import { signUp } from '../support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../support/client';
import { waitFor } from '../support/processes';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';
import { rawConnection } from '../support/raw-http';

/**
 * Half of it is more than a part of S3, so that an upload which is cut there has begun to be
 * stored.
 */
const MAX = 12_000_000;
const QUOTA = MAX + 2_000_000;
const BOUNDARY = 'bOuNdArY';
const MULTIPART = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };
const END = `--${BOUNDARY}--\r\n`;

const field = (name: string, value: string): string =>
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const filePart = (content: Buffer | string, name = 'a.bin', part = 'file'): Buffer =>
  Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${part}"; filename="${name}"\r\n\r\n`),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ]);
const form = (...parts: (Buffer | string)[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part)));

/**
 * Each bad upload gets its documented answer and leaves neither a blob nor a part of one, nor a
 * file, nor a taken name.
 */
describeOnProfiles('Uploads that come to nothing', (context) => badInput(context), {
  env: { MAX_FILE_SIZE: String(MAX), USER_QUOTA: String(QUOTA) },
  s3: true,
  longOn: ['mongoose'],
});

function badInput(context: ProfileContext): void {
  let alice: Client;

  beforeAll(async () => {
    alice = (await signUp(context.client)).client;
  });

  const nothingLeft = async (): Promise<void> => {
    await waitFor('the blob store to be empty', async () => (await context.blobs()).length === 0, 10_000);
    const page = expectStatus(await alice.get('/files'), 200);
    expect(page).toEqual({ items: [], next_cursor: null });
  };

  afterEach(nothingLeft);

  const post = (body: Buffer, headers: Record<string, string> = MULTIPART): Promise<Answer> =>
    alice.send('POST', '/files', { body, headers });

  it.each<[string, Buffer]>([
    ['no part', form(END)],
    ['an empty body', form('')],
    ['no file', form(field('name', 'a'), END)],
    ['a field that is not known', form(field('colour', 'red'), filePart('x'), END)],
    ['a field twice', form(field('sha256', '0'.repeat(64)), field('sha256', '0'.repeat(64)), filePart('x'), END)],
    ['a field after the file', form(filePart(randomBytes(200_000)), field('expires_in', '60'), END)],
    ['two files', form(filePart(randomBytes(200_000)), filePart('y'), END)],
    ['a file under another name', form(filePart('x', 'a', 'upload'), END)],
    ['10,000 parts', form(...Array.from({ length: 10_000 }, () => field('name', 'a')), filePart('x'), END)],
    [
      '10,000 parts after the file',
      form(filePart('x'), ...Array.from({ length: 10_000 }, () => field('name', 'a')), END),
    ],
    ['a field of 17 KiB', form(field('envelope', 'x'.repeat(17 * 1024)), filePart('x'), END)],
    ['no closing boundary', form(filePart(randomBytes(200_000)))],
    ['a file that is cut', form(filePart(randomBytes(200_000))).subarray(0, 100_000)],
    ['a part header without an end', form(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"`)],
    ['another boundary', form('--other\r\n\r\n--other--\r\n')],
    ['random bytes', randomBytes(100_000)],
    ['a path for a name', form(filePart('x', '../../etc/passwd'), END)],
    ['a name that is no UTF-8', form(filePart('x', 'a'), END)],
  ])('refuses a form with %s', async (what, body) => {
    const bytes = what.includes('no UTF-8') ? replaceByte(body, 'filename="a"', 0xff) : body;
    expectProblem(await post(bytes), 400, 'validation_failed');
  });

  it.each([
    'expires_in=0',
    'expires_in=x',
    'content_type=x',
    'sha256=x',
    'client_encrypted=2',
    'envelope={',
    'colour=red',
  ])('refuses ?%s', async (query) => {
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await alice.send('POST', `/files?name=a&${query}`, { body: Buffer.from('x'), headers });
    expectProblem(answer, 400, 'validation_failed');
  });

  it('refuses a raw body without a name, and fields in the query of a form', async () => {
    expectProblem(
      await post(Buffer.from('x'), { 'content-type': 'application/octet-stream' }),
      400,
      'validation_failed',
    );
    const answer = await alice.send('POST', '/files?name=a', { body: form(filePart('x'), END), headers: MULTIPART });
    expectProblem(answer, 400, 'validation_failed');
  });

  it.each<[string, Record<string, string>]>([
    ['JSON', { 'content-type': 'application/json' }],
    ['text', { 'content-type': 'text/plain' }],
    ['nothing that it names', {}],
    ['another form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a form of another kind', { 'content-type': `multipart/mixed; boundary=${BOUNDARY}` }],
    ['compressed bytes', { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' }],
  ])('refuses %s with 415', async (_, headers) => {
    const answer = await alice.send('POST', '/files?name=a', { body: Buffer.from('{}'), headers });
    expectProblem(answer, 415, 'unsupported_media_type');
  });

  it('refuses a multipart form without a boundary', async () => {
    const headers = { 'content-type': 'multipart/form-data' };
    expectProblem(await post(form(filePart('x'), END), headers), 400, 'validation_failed');
  });

  it('refuses a file beyond MAX_FILE_SIZE with 413, announced or not', async () => {
    expectProblem(await alice.uploadRaw('a', Buffer.alloc(MAX + 1)), 413, 'too_large');
    expectProblem(await alice.upload('a', Buffer.alloc(MAX + 1)), 413, 'too_large');
    const connection = await rawConnection(alice.target());
    await connection.write(head('Transfer-Encoding: chunked'));
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(0x100000), Buffer.from('\r\n')]);
    for (let sent = 0; sent <= MAX; sent += 0x100000) await connection.write(chunk);
    expect(await connection.status()).toBe(413);
    connection.socket.destroy();
  });

  it('answers 413 at once where Content-Length announces it, before the body comes', async () => {
    const connection = await rawConnection(alice.target());
    await connection.write(head('Content-Length: 99999999999'));
    expect(await connection.status()).toBe(413);
    connection.socket.destroy();
  });

  it('does not read on for ever in chunks without an end', async () => {
    const connection = await rawConnection(alice.target());
    await connection.write(head('Transfer-Encoding: chunked'));
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000), Buffer.from('\r\n')]);
    const endless = (async () => {
      while (!connection.socket.destroyed) await Promise.race([connection.write(chunk), connection.closed()]);
    })();
    expect(await connection.status()).toBe(413);
    await connection.closed();
    await endless;
  });

  it('refuses a file beyond the quota with 507, also 20 that come at the same time', async () => {
    const first = expectStatus(await alice.uploadRaw('first', Buffer.alloc(MAX)), 201);
    const second = expectStatus(await alice.uploadRaw('second', Buffer.alloc(QUOTA - MAX - 1)), 201);
    expectProblem(await alice.uploadRaw('third', Buffer.alloc(2)), 507, 'quota_exceeded');
    const racers = Array.from({ length: 20 }, (_, n) => alice.uploadRaw(`racer ${n}`, Buffer.alloc(1)));
    const statuses = (await Promise.all(racers)).map((answer) => answer.status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 507)]);
    const page = expectStatus(await alice.get('/files'), 200) as { items: { id: string; size: number }[] };
    expect(page.items.reduce((sum, { size }) => sum + size, 0)).toBe(QUOTA);
    for (const { id } of page.items) expect((await alice.delete(`/files/${id}`)).status).toBe(204);
    expect([first.size, second.size]).toEqual([MAX, QUOTA - MAX - 1]);
    const again = expectStatus(await alice.uploadRaw('again', Buffer.alloc(MAX)), 201);
    expect((await alice.delete(`/files/${again.id}`)).status).toBe(204);
  });

  describe('a client that hangs up', () => {
    const content = randomBytes(MAX);
    const body = form(filePart(content, 'cut.bin'), END);

    it.each([
      ['raw, at its first byte, by FIN', 'raw', 0, 'end'],
      ['raw, after 1 byte, by FIN', 'raw', 1, 'end'],
      ['raw, after 1 %, by RST', 'raw', MAX / 100, 'reset'],
      ['raw, half-way, by RST', 'raw', MAX / 2, 'reset'],
      ['raw, half-way, by FIN', 'raw', MAX / 2, 'end'],
      ['raw, after 99.9 %, by FIN', 'raw', 0.999 * MAX, 'end'],
      ['raw, one byte before the end, by RST', 'raw', MAX - 1, 'reset'],
      ['form, in its part header, by FIN', 'form', 40, 'end'],
      ['form, half-way, by RST', 'form', MAX / 2, 'reset'],
      ['form, half-way, by FIN', 'form', MAX / 2, 'end'],
      ['form, in its closing boundary, by FIN', 'form', body.length - 3, 'end'],
    ])('leaves nothing: %s', async (_, kind, bytes, how) => {
      const source = kind === 'raw' ? content : body;
      const connection = await rawConnection(alice.target());
      const type = kind === 'raw' ? undefined : MULTIPART['content-type'];
      await connection.write(head(`Content-Length: ${source.length}`, type));
      if (bytes > 0) await connection.write(source.subarray(0, bytes));
      if (bytes >= MAX / 2) {
        await waitFor('the upload to be under way', async () => (await context.blobs()).length > 0);
      }
      if (how === 'reset') connection.socket.resetAndDestroy();
      else connection.socket.end();
      await connection.closed();
      await nothingLeft();
      expectStatus(await alice.uploadRaw('cut.bin', 'x'), 201);
      const { id } = expectStatus(await alice.get('/files/by-name/cut.bin'), 200);
      expect((await alice.delete(`/files/${id}`)).status).toBe(204);
    });
  });

  it('takes what comes behind a Content-Length that is too small for the next request', async () => {
    const connection = await rawConnection(alice.target());
    await connection.write(
      `${head('Content-Length: 5')}helloGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    );
    const text = await connection.closed();
    expect(text).toMatch(/^HTTP\/1\.1 201 /);
    expect(text).toContain('"size":5');
    expect(text).toMatch(/HTTP\/1\.1 200 /);
    const { id } = expectStatus(await alice.get('/files/by-name/raw'), 200);
    expect((await alice.delete(`/files/${id}`)).status).toBe(204);
  });

  function head(length: string, type = 'application/octet-stream'): string {
    const path = type.startsWith('multipart') ? '/files' : '/files?name=raw';
    return [
      `POST ${path} HTTP/1.1`,
      'Host: coffer',
      `Authorization: Bearer ${alice.token ?? ''}`,
      `Content-Type: ${type}`,
      length,
      '\r\n',
    ].join('\r\n');
  }
}

/** The last byte of `before` (but for a quote) replaced. */
function replaceByte(bytes: Buffer, before: string, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(value, copy.indexOf(before) + before.length - 2);
  return copy;
}
