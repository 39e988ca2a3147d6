import { signUp } from '../support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../support/client';
import { sampleBytes } from '../support/messages';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';

/** Four frames and a bit. */
const SIZE = 4 * 65_536 + 123;
const CONTENT = sampleBytes(SIZE);

describeOnProfiles('The content of a file', (context) => contents(context), { s3: true, longOn: ['s3'] });

function contents(context: ProfileContext): void {
  let alice: Client;
  let path: string;
  let etag: string;
  let modified: string;

  beforeAll(async () => {
    alice = (await signUp(context.client)).client;
    const { id } = expectStatus(await alice.uploadRaw('naïve "file".bin', CONTENT, { content_type: 'text/html' }), 201);
    path = `/files/${id}/content`;
    const { headers } = await alice.head(path);
    [etag, modified] = [headers['etag']!, headers['last-modified']!];
  });

  const get = (headers: Record<string, string>, at = path): Promise<Answer> => alice.get(at, { headers });

  it('comes whole, as a download that no browser runs', async () => {
    const answer = await alice.get(path);
    expect(answer.status).toBe(200);
    expect(answer.bytes.equals(CONTENT)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/html',
      'content-length': String(SIZE),
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      etag: expect.stringMatching(/^"[\w.-]+"$/),
      'last-modified': expect.stringMatching(/GMT$/),
      'content-disposition': `attachment; filename="na?ve \\"file\\".bin"; filename*=UTF-8''na%C3%AFve%20%22file%22.bin`,
    });
  });

  it('answers HEAD with the same headers and no body, ranges or not', async () => {
    const whole = await alice.get(path);
    for (const headers of [{}, { range: 'bytes=0-9' }, { range: 'bytes=9999999-' }]) {
      const head = await alice.head(path, { headers });
      expect([head.status, head.bytes.length]).toEqual([200, 0]);
      for (const name of ['content-type', 'content-length', 'etag', 'last-modified', 'content-disposition']) {
        expect([name, head.headers[name]]).toEqual([name, whole.headers[name]]);
      }
    }
  });

  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=0-65535', 0, 65_535],
    ['bytes=65535-65536', 65_535, 65_536],
    ['bytes=100000-199999', 100_000, 199_999],
    ['bytes=262144-', 262_144, SIZE - 1],
    [`bytes=${SIZE - 1}-`, SIZE - 1, SIZE - 1],
    ['bytes=-1', SIZE - 1, SIZE - 1],
    ['bytes=-200', SIZE - 200, SIZE - 1],
    ['bytes=-9999999', 0, SIZE - 1],
    ['bytes=10-9999999', 10, SIZE - 1],
    [`bytes=10-${'9'.repeat(100)}`, 10, SIZE - 1],
  ])('serves %s as 206', async (range, start, end) => {
    const answer = await get({ range });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${start}-${end}/${SIZE}`);
    expect(answer.headers['content-length']).toBe(String(end + 1 - start));
    expect(answer.bytes.equals(CONTENT.subarray(start, end + 1))).toBe(true);
  });

  it.each(['bytes=0-1,5-6', 'bytes=5-4', 'bytes=', 'bytes=a-b', 'bytes', 'frames=0-1', '0-1', 'bytes=--1'])(
    'serves %s whole, as RFC 9110 allows',
    async (range) => {
      const answer = await get({ range });
      expect(answer.status).toBe(200);
      expect(answer.bytes.equals(CONTENT)).toBe(true);
    },
  );

  it.each([`bytes=${SIZE}-`, `bytes=${SIZE}-${SIZE + 10}`, 'bytes=9999999-', 'bytes=-0'])(
    'refuses %s with 416 and the size',
    async (range) => {
      const answer = await get({ range });
      expectProblem(answer, 416, 'range_not_satisfiable');
      expect(answer.headers['content-range']).toBe(`bytes */${SIZE}`);
    },
  );

  it('refuses a range of an empty file, but the last bytes of it are all of it', async () => {
    const { id } = expectStatus(await alice.upload('nothing in it', ''), 201);
    const answer = await get({ range: 'bytes=0-' }, `/files/${id}/content`);
    expectProblem(answer, 416, 'range_not_satisfiable');
    expect(answer.headers['content-range']).toBe('bytes */0');
    const last = await get({ range: 'bytes=-5' }, `/files/${id}/content`);
    expect([last.status, last.bytes.length, last.headers['content-range']]).toEqual([200, 0, undefined]);
  });

  it('heeds If-None-Match and If-Modified-Since', async () => {
    for (const headers of [
      { 'if-none-match': etag },
      { 'if-none-match': `W/${etag}, "other"` },
      { 'if-none-match': '*' },
      { 'if-modified-since': modified },
    ]) {
      const answer = await get(headers);
      expect([answer.status, answer.bytes.length, answer.headers['etag']]).toEqual([304, 0, etag]);
      expect((await alice.head(path, { headers })).status).toBe(304);
    }
    expect((await get({ 'if-none-match': '"other"' })).status).toBe(200);
    expect((await get({ 'if-modified-since': 'Thu, 01 Jan 2026 00:00:00 GMT' })).status).toBe(200);
  });

  it('heeds If-Match and If-Unmodified-Since', async () => {
    expectProblem(await get({ 'if-match': '"other"' }), 412, 'precondition_failed');
    expectProblem(await get({ 'if-unmodified-since': 'Thu, 01 Jan 2026 00:00:00 GMT' }), 412, 'precondition_failed');
    expect((await get({ 'if-match': etag })).status).toBe(200);
  });

  it('serves a range only of the content that If-Range names', async () => {
    const range = 'bytes=0-9';
    expect((await get({ range, 'if-range': etag })).status).toBe(206);
    expect((await get({ range, 'if-range': modified })).status).toBe(200);
    expect((await get({ range, 'if-range': '"other"' })).status).toBe(200);
    expect((await get({ range, 'if-range': `W/${etag}` })).status).toBe(200);
    expect((await get({ range, 'if-range': 'Thu, 01 Jan 2026 00:00:00 GMT' })).status).toBe(200);
    expect((await get({ range: 'bytes=9999999-', 'if-range': '"other"' })).status).toBe(200);
  });

  it('comes as the stored message too, with its own tag, size and ranges', async () => {
    const at = `${path}?encrypted=true`;
    const whole = await alice.get(at);
    expect(whole.status).toBe(200);
    expect(whole.headers['etag']).not.toBe(etag);
    expect(whole.headers['content-type']).toBe('application/octet-stream');
    expect(whole.bytes.subarray(0, 3).toString('hex')).toBe('020478');
    const part = await get({ range: 'bytes=70000-70999' }, at);
    expect(part.status).toBe(206);
    expect(part.bytes.equals(whole.bytes.subarray(70_000, 71_000))).toBe(true);
    expect((await get({ 'if-none-match': whole.headers['etag']! }, at)).status).toBe(304);
    expect((await get({ 'if-none-match': etag }, at)).status).toBe(200);
    expectProblem(await get({ range: `bytes=${whole.bytes.length}-` }, at), 416, 'range_not_satisfiable');
  });

  it('is the clear one with ?encrypted=false, and refuses anything else there', async () => {
    expect((await alice.get(`${path}?encrypted=false`)).bytes.equals(CONTENT)).toBe(true);
    for (const query of ['encrypted=yes', 'encrypted=', 'encrypted=true&encrypted=false', 'colour=red']) {
      expectProblem(await alice.get(`${path}?${query}`), 400, 'validation_failed');
    }
  });

  it('has another tag under another file of the same name', async () => {
    const first = expectStatus(await alice.upload('again', 'one'), 201);
    const former = (await alice.head('/files/by-name/again/content')).headers['etag']!;
    await alice.delete(`/files/${first.id}`);
    expectStatus(await alice.upload('again', 'two'), 201);
    const answer = await get({ 'if-none-match': former }, '/files/by-name/again/content');
    expect([answer.status, answer.text]).toEqual([200, 'two']);
  });

  it.each(['POST', 'PATCH', 'DELETE'])('answers %s with 405 and what is allowed', async (method) => {
    const answer = await alice.send(method, path);
    expectProblem(answer, 405, 'method_not_allowed');
    expect(answer.headers['allow']).toContain('GET');
    expect(answer.headers['allow']).toContain('HEAD');
  });
}
