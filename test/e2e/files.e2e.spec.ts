import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FormData } from 'undici';
import { signUp } from '../support/accounts';
import { type Client, expectProblem, expectStatus } from '../support/client';
import { sampleBytes } from '../support/messages';
import { describeWithPart } from '../support/parts';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';
import { nodeSdk, type OfficialSdk, pythonSdk } from '../support/sdk-messages';

const MARKER = 'a plain marker that no disk may hold 5f1c';
const digest = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

describeOnProfiles('Files', (context) => files(context), { s3: true });

function files(context: ProfileContext): void {
  let alice: Client;
  let bob: Client;

  beforeAll(async () => {
    alice = (await signUp(context.client)).client;
    bob = (await signUp(context.client)).client;
  });

  describe('an upload', () => {
    it('answers a form with 201, Location and the metadata', async () => {
      const content = sampleBytes(100_000);
      const answer = await alice.upload('photo.png', content, { contentType: 'image/png' });
      const file = expectStatus(answer, 201);
      const stored = await alice.head(`/files/${file.id}/content?encrypted=true`);
      expect(file).toEqual({
        id: expect.any(String),
        name: 'photo.png',
        size: 100_000,
        content_type: 'image/png',
        sha256: digest(content),
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        expires_at: null,
        version: 1,
        encrypted_size: Number(stored.headers['content-length']),
        client_encrypted: false,
        envelope: null,
      });
      expect(answer.headers['location']).toBe(`/files/${file.id}`);
      expect(expectStatus(await alice.get(answer.headers['location']!), 200)).toEqual(file);
    });

    it('takes all fields of a form', async () => {
      const fields = {
        name: 'other name',
        expires_in: '3600',
        content_type: 'application/pdf',
        sha256: digest('content').toUpperCase(),
        client_encrypted: 'true',
        envelope: '{"alg":"RSA-OAEP-256","parts":[1,2]}',
      };
      const file = expectStatus(await alice.upload('part name', 'content', { fields }), 201);
      expect(file).toMatchObject({
        name: 'other name',
        content_type: 'application/pdf',
        sha256: digest('content'),
        client_encrypted: true,
        envelope: { alg: 'RSA-OAEP-256', parts: [1, 2] },
      });
      const { expires_at, created_at } = file as { expires_at: string; created_at: string };
      expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(3_600_000);
    });

    it('takes the bytes alone, with the fields in the query', async () => {
      const query = { expires_in: 60, content_type: 'text/plain', sha256: digest('raw') };
      const file = expectStatus(await alice.uploadRaw('raw & = + name', 'raw', query), 201);
      expect(file).toMatchObject({ name: 'raw & = + name', content_type: 'text/plain', size: 3 });
    });

    it('takes an empty file', async () => {
      const file = expectStatus(await alice.upload('empty', ''), 201);
      expect(file).toMatchObject({ size: 0, sha256: digest('') });
      const content = await alice.get(`/files/${file.id}/content`);
      expect([content.status, content.bytes.length, content.headers['content-length']]).toEqual([200, 0, '0']);
    });

    it('under a taken name answers 409, whoever took it being the same owner only', async () => {
      expectStatus(await alice.upload('taken', 'first'), 201);
      expectProblem(await alice.upload('taken', 'second'), 409, 'file_exists');
      expectProblem(await alice.uploadRaw('taken', 'second'), 409, 'file_exists');
      expectStatus(await bob.upload('taken', 'theirs'), 201);
      expect((await alice.get('/files/by-name/taken/content')).text).toBe('first');
      expect((await bob.get('/files/by-name/taken/content')).text).toBe('theirs');
    });

    it('of another content than its SHA-256 says answers 422 and is not there', async () => {
      const fields = { sha256: digest('expected') };
      expectProblem(await alice.upload('wrong sum', 'other', { fields }), 422, 'checksum_mismatch');
      expectProblem(await alice.get('/files/by-name/wrong%20sum'), 404, 'file_not_found');
    });
  });

  describe('names', () => {
    it.each([
      'quote".txt',
      "it's",
      'emoji 😀.png',
      'línea.txt',
      'a\\b',
      '100% sure',
      '#hash?query',
      ' space ',
      '…',
      'x'.repeat(255),
    ])('%j is kept, listed, found and served under', async (name) => {
      const file = expectStatus(await alice.uploadRaw(name, `content of ${name}`), 201);
      expect(file.name).toBe(name);
      const path = `/files/by-name/${encodeURIComponent(name)}`;
      expect(expectStatus(await alice.get(path), 200)).toEqual(file);
      expect((await alice.get(`${path}/content`)).text).toBe(`content of ${name}`);
      const listed = expectStatus(await alice.get('/files', { query: { name } }), 200);
      expect(listed).toEqual({ items: [file], next_cursor: null });
    });

    it.each([
      ['a slash', 'a/b'],
      ['a path', '../../etc/passwd'],
      ['a dot', '.'],
      ['two dots', '..'],
      ['NUL', 'a\0b'],
      ['nothing', ''],
      ['300 bytes', 'x'.repeat(300)],
      ['256 bytes in 128 characters', 'ü'.repeat(128)],
    ])('with %s are refused, in a form and in the query', async (_, name) => {
      expectProblem(await alice.uploadRaw(name, 'x'), 400, 'validation_failed');
      expectProblem(await alice.upload('x', 'x', { fields: { name } }), 400, 'validation_failed');
    });
  });

  describe('the list', () => {
    it('comes page by page, oldest first, with a cursor that is good for its owner and query only', async () => {
      const carol = (await signUp(context.client)).client;
      for (let n = 0; n < 5; n += 1) expectStatus(await carol.upload(`file ${n}`, 'x'), 201);
      const first = expectStatus(await carol.get('/files?limit=2'), 200);
      const second = expectStatus(await carol.get('/files', { query: { limit: 2, cursor: first.next_cursor } }), 200);
      const third = expectStatus(await carol.get('/files', { query: { limit: 2, cursor: second.next_cursor } }), 200);
      const items = [first, second, third].flatMap((page) => page.items as { name: string }[]);
      const names = items.map((file) => file.name);
      expect(names).toEqual(['file 0', 'file 1', 'file 2', 'file 3', 'file 4']);
      expect(third.next_cursor).toBeNull();
      const foreign = { query: { cursor: first.next_cursor as string } };
      expectProblem(await bob.get('/files', foreign), 400, 'invalid_cursor');
      expectProblem(await carol.get('/files?name=a', foreign), 400, 'invalid_cursor');
    });

    it.each(['limit=0', 'limit=201', 'limit=x', 'cursor=abc', 'colour=red', 'name=a&name=b'])(
      'refuses ?%s',
      async (query) => {
        expect((await alice.get(`/files?${query}`)).status).toBe(400);
      },
    );
  });

  describe('a file of somebody else', () => {
    it('answers exactly as one that does not exist, everywhere', async () => {
      const { id } = expectStatus(await alice.upload('mine alone', 'x'), 201);
      const missing = '01930000-0000-7000-8000-000000000000';
      for (const suffix of ['', '/content', '/content?encrypted=true', '/key']) {
        const [foreign, unknown] = [
          await bob.get(`/files/${id}${suffix}`),
          await bob.get(`/files/${missing}${suffix}`),
        ];
        expectProblem(foreign, 404, 'file_not_found');
        expect({ ...foreign.json, instance: '' }).toEqual({ ...unknown.json, instance: '' });
      }
      expectProblem(await bob.delete(`/files/${id}`), 404, 'file_not_found');
      expect((await bob.head(`/files/${id}/content`)).status).toBe(404);
      expectProblem(await bob.get('/files/by-name/mine%20alone'), 404, 'file_not_found');
      expectProblem(await bob.get('/files/by-name/mine%20alone/content'), 404, 'file_not_found');
    });

    it('is behind a door: without a token every route answers 401', async () => {
      const nobody = context.client.as(undefined);
      for (const [method, path] of [
        ['POST', '/files'],
        ['GET', '/files'],
        ['GET', '/files/x'],
        ['GET', '/files/by-name/x'],
        ['GET', '/files/x/content'],
        ['GET', '/files/by-name/x/content'],
        ['GET', '/files/x/key'],
        ['DELETE', '/files/x'],
      ] as const) {
        expectProblem(await nobody.send(method, path), 401, 'unauthenticated');
      }
    });
  });

  describe('a removed file', () => {
    it('is gone at once, with its blob, and its name is free', async () => {
      const before = await context.blobs();
      const { id } = expectStatus(await alice.upload('short lived', 'first'), 201);
      expect((await alice.delete(`/files/${id}`)).status).toBe(204);
      expectProblem(await alice.get(`/files/${id}`), 404, 'file_not_found');
      expectProblem(await alice.get(`/files/${id}/content`), 404, 'file_not_found');
      expectProblem(await alice.delete(`/files/${id}`), 404, 'file_not_found');
      expect(await context.blobs()).toEqual(before);
      expectStatus(await alice.upload('short lived', 'second'), 201);
    });
  });

  describe('the content on disk', () => {
    it('holds no byte of what was sent, nor does any log', async () => {
      const form = new FormData();
      form.append('client_encrypted', 'true');
      form.append('envelope', JSON.stringify({ note: MARKER }));
      form.append('file', new Blob([MARKER.repeat(1000)]), `${MARKER}.txt`);
      expectStatus(await alice.send('POST', '/files', { body: form }), 201);
      expect((await alice.get(`/files/by-name/${encodeURIComponent(`${MARKER}.txt`)}/content`)).text).toContain(MARKER);
      for (const entry of await readdir(context.dataDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const bytes = await readFile(join(entry.parentPath, entry.name));
        expect([entry.name, bytes.includes(MARKER)]).toEqual([entry.name, false]);
      }
      expect(context.logs()).not.toContain(MARKER);
    });
  });

  const opens = (sdk: OfficialSdk): void => {
    it.each([0, 1, 65_536, 1_500_000])('opens a stored file of %d bytes with what /key gives', async (size) => {
      const content = sampleBytes(size);
      const { id } = expectStatus(await alice.upload(`export ${size} ${String(Math.random())}`, content), 201);
      const key = expectStatus(await alice.get(`/files/${id}/key`), 200);
      expect(key).toEqual({
        namespace: 'coffer',
        key_name: `file/${id}/1`,
        key: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      const message = await alice.get(`/files/${id}/content?encrypted=true`);
      const exported = { namespace: key.namespace, keyName: key.key_name, key: key.key };
      const opened = await sdk.decrypt(exported, message.bytes);
      expect(opened.plaintext.equals(content)).toBe(true);
      expect(opened.context).toMatchObject({ 'coffer:file': id, 'coffer:ver': '1' });
    });
  };

  describe('the AWS Encryption SDK for JavaScript', () => opens(nodeSdk));
  describeWithPart('python-esdk', 'the AWS Encryption SDK for Python', () => opens(pythonSdk));
}
