import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { Upload } from 'tus-js-client';
import { signUp } from '../support/accounts';
import { type Answer, type Client, expectStatus } from '../support/client';
import { sampleBytes } from '../support/messages';
import { waitFor } from '../support/processes';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';
import {
  createUpload,
  endUpload,
  headUpload,
  metadataOf,
  newUpload,
  offsetOf,
  patchUpload,
  rawPatch,
} from '../support/tus';

const KIB = 1024;
const CONTENT = sampleBytes(700 * KIB);
/**
 * Its greater part is more than a part of S3, so that an attempt which has it has begun to be
 * stored.
 */
const LARGE = sampleBytes(7000 * KIB);

const digest = (algorithm: string, bytes: Buffer): string =>
  `${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`;

jest.setTimeout(120_000);

describeOnProfiles('resumable uploads', (context) => uploads(context), { s3: true, longOn: ['s3'] });

function uploads(context: ProfileContext): void {
  const fresh = (): string => `file-${Math.random().toString(36).slice(2)}`;
  const client = (): Client => context.admin;

  const contentOf = async (id: string): Promise<Buffer> => (await client().get(`/files/${id}/content`)).bytes;

  /** The last PATCH, and the file that it made. */
  const expectFile = async (answer: Answer, bytes: Buffer): Promise<string> => {
    if (answer.status !== 204 && answer.status !== 201) expect(`${answer.status} ${answer.text}`).toBe('204');
    const id = answer.headers['file-id'] ?? '';
    expect((await contentOf(id)).equals(bytes)).toBe(true);
    return id;
  };

  it('are offered as tus 1.0.0', async () => {
    const { status, headers } = await client().as(undefined).send('OPTIONS', '/uploads');
    expect(status).toBe(204);
    expect(headers).toMatchObject({
      'tus-version': '1.0.0',
      'tus-extension': 'creation,creation-with-upload,expiration,checksum,termination',
      'tus-checksum-algorithm': 'sha1,sha256',
      'tus-max-size': String(1024 ** 4),
    });
  });

  it('take a file in one piece and keep its message as it came', async () => {
    const name = fresh();
    const path = await newUpload(client(), name, CONTENT.length);
    const before = await context.blobs();
    const answer = await patchUpload(client(), path, 0, CONTENT);
    expect(answer.headers).toMatchObject({ 'upload-offset': String(CONTENT.length), 'tus-resumable': '1.0.0' });
    const id = await expectFile(answer, CONTENT);
    expect((await context.blobs()).length).toBe(before.length + 1);
    const file = expectStatus(await client().get(`/files/${id}`), 200) as Record<string, unknown>;
    expect(file).toMatchObject({
      name,
      size: CONTENT.length,
      version: 1,
      sha256: createHash('sha256').update(CONTENT).digest('hex'),
    });
  });

  it('take a file in pieces on whichever process, and put it together', async () => {
    const name = fresh();
    const path = await newUpload(client(), name, CONTENT.length);
    const before = await context.blobs();
    for (let at = 0; at < CONTENT.length; at += 100 * KIB) {
      const piece = CONTENT.subarray(at, at + 100 * KIB);
      const answer = await patchUpload(client(), path, await offsetOf(client(), path), piece);
      expect(answer.headers['upload-offset']).toBe(String(at + piece.length));
      if (at + piece.length === CONTENT.length) await expectFile(answer, CONTENT);
      else expect(answer.headers['file-id']).toBeUndefined();
    }
    await waitFor('the segments to be removed', async () => {
      return (await context.blobs()).length === before.length + 1;
    });
  });

  it('answer the last piece again, whoever asks', async () => {
    const path = await newUpload(client(), fresh(), 10);
    await patchUpload(client(), path, 0, Buffer.from('hello'));
    const id = await expectFile(await patchUpload(client(), path, 5, Buffer.from('world')), Buffer.from('helloworld'));
    for (const [offset, rest] of [
      [5, 'world'],
      [9, 'd'],
      [10, ''],
    ] as const) {
      const again = await patchUpload(client(), path, offset, Buffer.from(rest));
      expect([again.status, again.headers['file-id'], again.headers['upload-offset']]).toEqual([204, id, '10']);
    }
    expect((await patchUpload(client(), path, 3, Buffer.from('x'))).status).toBe(409);
    expect((await headUpload(client(), path)).headers).toMatchObject({ 'upload-offset': '10', 'file-id': id });
  });

  it('take pieces of one byte, and a file of none', async () => {
    const bytes = sampleBytes(12);
    const path = await newUpload(client(), fresh(), bytes.length);
    for (let at = 0; at < bytes.length; at += 1) {
      const answer = await patchUpload(client(), path, at, bytes.subarray(at, at + 1));
      expect(answer.status).toBe(204);
      if (at === bytes.length - 1) await expectFile(answer, bytes);
    }
    await expectFile(await createUpload(client(), fresh(), 0), Buffer.alloc(0));
  });

  it('take the first bytes with the creation', async () => {
    const created = await createUpload(client(), fresh(), CONTENT.length, { body: CONTENT.subarray(0, 5000) });
    expect([created.status, created.headers['upload-offset']]).toEqual([201, '5000']);
    const path = created.headers['location'] ?? '';
    await expectFile(await patchUpload(client(), path, 5000, CONTENT.subarray(5000)), CONTENT);
    await expectFile(await createUpload(client(), fresh(), CONTENT.length, { body: CONTENT }), CONTENT);
  });

  it('tell what they are by HEAD', async () => {
    const metadata = metadataOf({ filename: fresh(), filetype: 'text/plain', expires_in: '3600', own: 'ü' });
    const created = await createUpload(client(), '', 4, { headers: { 'upload-metadata': metadata } });
    const path = created.headers['location'] ?? '';
    const { status, headers } = await headUpload(client(), path);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'upload-offset': '0',
      'upload-length': '4',
      'upload-metadata': metadata,
      'cache-control': 'no-store',
    });
    expect(Date.parse(headers['upload-expires'] ?? '')).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    const id = await expectFile(await patchUpload(client(), path, 0, Buffer.from('text')), Buffer.from('text'));
    const file = expectStatus(await client().get(`/files/${id}`), 200) as { content_type: string; expires_at: string };
    expect(file.content_type).toBe('text/plain');
    expect(Date.parse(file.expires_at)).toBeLessThan(Date.now() + 3_700_000);
  });

  describe('refuse, in lines of text,', () => {
    const create = (headers: Record<string, string>) => createUpload(client(), fresh(), 4, { headers });

    it.each([
      ['another version of tus', 412, { 'tus-resumable': '0.2.2' }],
      ['a length that is none', 400, { 'upload-length': '-1' }],
      ['a length beyond the largest file', 413, { 'upload-length': '99999999999999999999' }],
      ['a length that comes later', 400, { 'upload-defer-length': '1' }],
      ['metadata without a name', 400, { 'upload-metadata': 'filetype dGV4dC9wbGFpbg==' }],
      ['a name with a slash', 400, { 'upload-metadata': metadataOf({ filename: 'a/b' }) }],
      ['metadata that is no base64', 400, { 'upload-metadata': 'filename ***' }],
      ['a name that is no UTF-8', 400, { 'upload-metadata': 'filename /w==' }],
      ['a key twice', 400, { 'upload-metadata': 'filename YQ==,filename Yg==' }],
      ['an expiry that is none', 400, { 'upload-metadata': metadataOf({ filename: 'a', expires_in: '-1' }) }],
    ])('%s', async (_, status, headers) => {
      const answer = await create(headers);
      expect([answer.status, answer.headers['content-type']]).toEqual([status, 'text/plain; charset=utf-8']);
      expect(answer.headers['tus-resumable']).toBe('1.0.0');
    });

    it('what comes without a token', async () => {
      const answer = await createUpload(client().as(undefined), fresh(), 4);
      expect([answer.status, answer.headers['content-type']]).toEqual([401, 'text/plain; charset=utf-8']);
    });

    it('a name that is taken', async () => {
      const name = fresh();
      expectStatus(await client().upload(name, 'x'), 201);
      expect((await createUpload(client(), name, 4)).status).toBe(409);
    });

    it('a wrong offset, another media type, a body that is too long, and an upload of somebody else', async () => {
      const path = await newUpload(client(), fresh(), 4);
      expect((await patchUpload(client(), path, 1, Buffer.from('bcd'))).status).toBe(409);
      expect(
        (await patchUpload(client(), path, 0, Buffer.from('a'), { headers: { 'upload-offset': 'x' } })).status,
      ).toBe(400);
      const json = { headers: { 'content-type': 'application/json' } };
      expect((await patchUpload(client(), path, 0, Buffer.from('{}'), json)).status).toBe(415);
      expect((await patchUpload(client(), path, 0, Buffer.from('abcde'))).status).toBe(413);
      const { client: other } = await signUp(client());
      for (const answer of [
        await headUpload(other, path),
        await patchUpload(other, path, 0, Buffer.from('a')),
        await endUpload(other, path),
      ]) {
        expect(answer.status).toBe(404);
      }
      expect(await offsetOf(client(), path)).toBe(0);
      await expectFile(await patchUpload(client(), path, 0, Buffer.from('abcd')), Buffer.from('abcd'));
    });
  });

  it('take nothing of a body that goes on beyond the length, whatever it announced', async () => {
    const path = await newUpload(client(), fresh(), 10_000);
    const headers = {
      'tus-resumable': '1.0.0',
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
    };
    const endless = Readable.from(Array.from({ length: 20 }, () => sampleBytes(1000)));
    expect((await client().send('PATCH', path, { headers, body: endless })).status).toBe(413);
    expect(await offsetOf(client(), path)).toBe(0);
    const connection = await rawPatch(context.services[0]!.url, client(), path, 4000);
    await connection.write(CONTENT.subarray(0, 10_000));
    // What is beyond the announced length is the next request on that connection, and none that
    // anybody understands.
    await connection.closed();
    const last = await waitFor('the upload to be free', async () => {
      const offset = await offsetOf(client(), path);
      expect([0, 4000]).toContain(offset);
      const answer = await patchUpload(client(), path, offset, CONTENT.subarray(offset, 10_000));
      return [409, 423].includes(answer.status) ? undefined : answer;
    });
    await expectFile(last, CONTENT.subarray(0, 10_000));
  });

  it('count a piece with a checksum only where it holds', async () => {
    const path = await newUpload(client(), fresh(), 8);
    const patch = (offset: number, text: string, checksum: string) =>
      patchUpload(client(), path, offset, Buffer.from(text), { headers: { 'upload-checksum': checksum } });
    expect((await patch(0, 'good', digest('sha256', Buffer.from('bad')))).status).toBe(460);
    expect((await patch(0, 'good', 'md5 1B2M2Y8AsgTpgAmY7PhCfg==')).status).toBe(400);
    expect((await patch(0, 'good', 'sha1 AAAA')).status).toBe(400);
    expect(await offsetOf(client(), path)).toBe(0);
    expect((await patch(0, 'good', digest('sha1', Buffer.from('good')))).status).toBe(204);
    const last = await patch(4, 'last', digest('sha256', Buffer.from('last')));
    await expectFile(last, Buffer.from('goodlast'));
  });

  it('keep what came before a connection broke', async () => {
    const path = await newUpload(client(), fresh(), CONTENT.length);
    const connection = await rawPatch(context.services[0]!.url, client(), path, CONTENT.length);
    await connection.write(CONTENT.subarray(0, 300 * KIB));
    connection.socket.end();
    const offset = await waitFor('the bytes to count', async () => (await offsetOf(client(), path)) || undefined);
    expect(offset).toBe(300 * KIB);
    await expectFile(await patchUpload(client(), path, offset, CONTENT.subarray(offset)), CONTENT);
  });

  it('end one attempt that hangs for the next one, and keep what it got', async () => {
    const before = await context.blobs();
    const path = await newUpload(client(), fresh(), LARGE.length);
    const connection = await rawPatch(context.services[0]!.url, client(), path, LARGE.length);
    await connection.write(LARGE.subarray(0, 6000 * KIB));
    await waitFor('the attempt', async () => (await context.blobs()).length > before.length);
    const locked = await patchUpload(client(), path, 0, LARGE);
    expect(locked.status).toBe(423);
    const offset = await waitFor('the hung attempt to end', async () => (await offsetOf(client(), path)) || undefined);
    expect(offset).toBe(6000 * KIB);
    await expectFile(await patchUpload(client(), path, offset, LARGE.subarray(offset)), LARGE);
  });

  it('count one of ten pieces that come at once for the same offset', async () => {
    const size = 64 * KIB;
    const path = await newUpload(client(), fresh(), 2 * size);
    const pieces = Array.from({ length: 10 }, (_, n) => Buffer.alloc(size, n + 1));
    const answers = await Promise.all(pieces.map((piece) => patchUpload(client(), path, 0, piece)));
    const counted = answers.flatMap(({ status }, n) => (status === 204 ? [n] : []));
    expect(counted).toHaveLength(1);
    expect(answers.filter(({ status }) => ![204, 409, 423].includes(status))).toEqual([]);
    expect(await offsetOf(client(), path)).toBe(size);
    const rest = Buffer.alloc(size, 77);
    await expectFile(await patchUpload(client(), path, size, rest), Buffer.concat([pieces[counted[0]!]!, rest]));
  });

  it('keep a file without a name where its name is taken by the end', async () => {
    const name = fresh();
    const path = await newUpload(client(), name, 4);
    expectStatus(await client().upload(name, 'faster'), 201);
    const id = await expectFile(await patchUpload(client(), path, 0, Buffer.from('slow')), Buffer.from('slow'));
    expect(expectStatus(await client().get(`/files/${id}`), 200)).toMatchObject({ name: null, size: 4 });
  });

  it('are gone when they are terminated, with all that came', async () => {
    const before = await context.blobs();
    const path = await newUpload(client(), fresh(), 10);
    await patchUpload(client(), path, 0, Buffer.from('hello'));
    expect((await endUpload(client(), path)).status).toBe(204);
    expect((await headUpload(client(), path)).status).toBe(404);
    expect((await patchUpload(client(), path, 5, Buffer.from('world'))).status).toBe(404);
    expect(await context.blobs()).toEqual(before);
  });

  it('work with the official client, through a piece that fails', async () => {
    let failed = false;
    const id = await new Promise<string | undefined>((resolve, reject) => {
      const upload = new Upload(CONTENT, {
        endpoint: `${context.services[0]!.url}/uploads`,
        chunkSize: 150 * KIB,
        retryDelays: [0, 100, 500],
        headers: { authorization: `Bearer ${client().token ?? ''}` },
        metadata: { filename: fresh(), filetype: 'image/png' },
        onAfterResponse: (request, response) => {
          if (!failed && request.getMethod() === 'PATCH') {
            failed = true;
            throw new Error('lost');
          }
          fileId = response.getHeader('file-id') ?? fileId;
        },
        onError: reject,
        onSuccess: () => resolve(fileId),
      });
      let fileId: string | undefined;
      upload.start();
    });
    expect(failed).toBe(true);
    expect((await contentOf(id ?? '')).equals(CONTENT)).toBe(true);
  });

  it('go on in another client on another process', async () => {
    const last = context.services.at(-1)!;
    const headers = { authorization: `Bearer ${client().token ?? ''}` };
    const name = fresh();
    const address = await new Promise<string>((resolve, reject) => {
      const first = new Upload(CONTENT, {
        endpoint: `${context.services[0]!.url}/uploads`,
        chunkSize: 100 * KIB,
        headers,
        metadata: { filename: name },
        onError: reject,
        onChunkComplete: () => void first.abort().then(() => resolve(first.url ?? '')),
      });
      first.start();
    });
    await new Promise<void>((resolve, reject) => {
      const upload = new Upload(CONTENT, {
        uploadUrl: address.replace(context.services[0]!.url, last.url),
        retryDelays: [0, 500, 1000, 3000, 5000],
        headers,
        onError: reject,
        onSuccess: () => resolve(),
      });
      upload.start();
    });
    const content = await client().get(`/files/by-name/${name}/content`);
    expect(content.bytes.equals(CONTENT)).toBe(true);
  });

  it('leave nothing in clear on disk, in the store, or in a log', async () => {
    const marker = 'a-marker-of-this-test-alone';
    const path = await newUpload(client(), `${marker}-name`, 3 * marker.length);
    await patchUpload(client(), path, 0, Buffer.from(marker));
    const found = (): string =>
      execFileSync('sh', ['-c', `grep -rlaF ${marker} '${context.dataDir}' --exclude-dir=outbox || true`]).toString();
    expect(found()).toBe('');
    await patchUpload(client(), path, marker.length, Buffer.from(marker + marker));
    expect(found()).toBe('');
    expect(context.logs()).not.toContain(marker);
  });
}
