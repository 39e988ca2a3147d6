import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FormData } from 'undici';
import { signUp } from '../support/accounts';
import { type Answer, type Client, expectProblem, expectStatus, type SendOptions } from '../support/client';
import { sampleBytes } from '../support/messages';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';
import { blobFiles } from '../support/raw-http';
import { nodeSdk } from '../support/sdk-messages';

const MARKER = 'a plain marker of a version 77d1';
const digest = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

const OPTIONS = { env: { TRASH_DAYS: '30', USER_QUOTA: '5000000' } };

describeOnProfiles('The life of a file', (context) => life(context), OPTIONS);

function life(context: ProfileContext): void {
  let alice: Client;
  let bob: Client;

  beforeAll(async () => {
    alice = (await signUp(context.client)).client;
    bob = (await signUp(context.client)).client;
  });

  interface File {
    readonly id: string;
    readonly etag: string;
  }

  async function uploaded(name: string, content: Buffer | string = 'first', client = alice): Promise<File> {
    const answer = await client.upload(name, content, { contentType: 'text/plain' });
    const { id } = expectStatus(answer, 201) as { id: string };
    return { id, etag: answer.headers['etag']! };
  }

  const put = (id: string, body: string | Buffer, ifMatch?: string, options: SendOptions = {}): Promise<Answer> =>
    alice.send('PUT', `/files/${id}/content`, {
      body,
      headers: { 'content-type': 'application/octet-stream', ...(ifMatch !== undefined && { 'if-match': ifMatch }) },
      ...options,
    });

  const textOf = async (id: string, query = ''): Promise<string> =>
    (await alice.get(`/files/${id}/content${query}`)).text;

  describe('a new version', () => {
    it('answers with the metadata and its tag, by the tag of the content or of the metadata', async () => {
      const { id, etag } = await uploaded('versions');
      const second = await put(id, 'second', etag);
      expect(expectStatus(second, 200)).toMatchObject({ id, version: 2, size: 6, content_type: 'text/plain' });
      expect(second.headers['etag']).toBe((await alice.get(`/files/${id}`)).headers['etag']);
      const contentTag = (await alice.head(`/files/${id}/content`)).headers['etag']!;
      expect(expectStatus(await put(id, 'third', contentTag), 200)).toMatchObject({ version: 3 });
      expect([await textOf(id), await textOf(id, '?version=2'), await textOf(id, '?version=1')]).toEqual([
        'third',
        'second',
        'first',
      ]);
    });

    it('comes as a form too, whose part names nothing', async () => {
      const { id } = await uploaded('by form');
      const form = new FormData();
      form.append('expires_in', '3600');
      form.append('sha256', digest('in a form'));
      form.append('file', new Blob(['in a form'], { type: 'image/png' }), 'some other name');
      const answer = await alice.send('PUT', `/files/${id}/content`, { body: form, headers: { 'if-match': '*' } });
      expect(expectStatus(answer, 200)).toMatchObject({ name: 'by form', content_type: 'image/png', version: 2 });
      expect(answer.json.expires_at).not.toBeNull();
    });

    it('is refused without If-Match, with a stale one, with a name, with a wrong digest, as JSON', async () => {
      const { id, etag } = await uploaded('refusals');
      expectProblem(await put(id, 'x'), 428, 'precondition_required');
      expectProblem(await put(id, 'x', '"other"'), 412, 'precondition_failed');
      expectProblem(await put(id, 'x', `W/${etag}`), 412, 'precondition_failed');
      expectProblem(await put(id, 'x', etag, { query: { name: 'new' } }), 400, 'validation_failed');
      const wrong = { query: { sha256: digest('y') } };
      expectProblem(await put(id, 'x', etag, wrong), 422, 'checksum_mismatch');
      const json = await alice.put(`/files/${id}/content`, {}, { headers: { 'if-match': etag } });
      expectProblem(json, 415, 'unsupported_media_type');
      expect(await textOf(id)).toBe('first');
      expectStatus(await put(id, 'x', etag), 200);
      expectProblem(await put(id, 'y', etag), 412, 'precondition_failed');
    });

    it('of 20 with the same tag, on two processes, is one', async () => {
      const { id, etag } = await uploaded('race');
      const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => put(id, `content ${n}`, etag)));
      const statuses = answers.map(({ status }) => status).sort();
      expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
      const won = answers.findIndex(({ status }) => status === 200);
      expect(await textOf(id)).toBe(`content ${won}`);
      const { items } = expectStatus(await alice.get(`/files/${id}/versions`), 200) as { items: unknown[] };
      expect(items).toHaveLength(2);
    });

    it('opens with the AWS Encryption SDK and the key of its version, former ones too', async () => {
      const { id, etag } = await uploaded('export', sampleBytes(100_000));
      expectStatus(await put(id, 'second', etag), 200);
      for (const [version, content] of [
        [1, sampleBytes(100_000)],
        [2, Buffer.from('second')],
      ] as const) {
        const key = expectStatus(await alice.get(`/files/${id}/key?version=${version}`), 200);
        expect(key.key_name).toBe(`file/${id}/${version}`);
        const message = await alice.get(`/files/${id}/content?encrypted=true&version=${version}`);
        const exported = { namespace: key.namespace, keyName: key.key_name, key: key.key };
        expect((await nodeSdk.decrypt(exported, message.bytes)).plaintext.equals(content)).toBe(true);
      }
    });

    it('counts in the quota with those before it: of 30 at its edge, as many as fit', async () => {
      const carol = (await signUp(context.client)).client;
      const { id } = await uploaded('quota', sampleBytes(4_999_990), carol);
      const send = () =>
        carol.send('PUT', `/files/${id}/content`, {
          body: 'x'.repeat(5),
          headers: { 'content-type': 'application/octet-stream', 'if-match': '*' },
        });
      const answers = await Promise.all(Array.from({ length: 30 }, send));
      const stored = answers.filter(({ status }) => status === 200);
      // Two fit at the end; those that were over at a moment in which a place was still taken
      // answer 507 as well.
      expect(stored.length).toBeLessThanOrEqual(2);
      for (const answer of answers) if (answer.status !== 200) expect([409, 507]).toContain(answer.status);
      expectProblem(await carol.upload('one more', 'x'.repeat(11)), 507, 'quota_exceeded');
      expect((await carol.delete(`/files/${id}`)).status).toBe(204);
      expectProblem(await carol.upload('one more', 'x'.repeat(11)), 507, 'quota_exceeded');
      expect((await carol.delete(`/files/${id}?permanent=true`)).status).toBe(204);
      expectStatus(await carol.upload('one more', sampleBytes(5_000_000)), 201);
    });
  });

  describe('the versions', () => {
    it('are listed newest first with their facts', async () => {
      const { id, etag } = await uploaded('list');
      expectStatus(await put(id, 'second', etag, { query: { content_type: 'image/png' } }), 200);
      const page = expectStatus(await alice.get(`/files/${id}/versions`), 200);
      const version = (n: number, content: string, type: string, current: boolean) => ({
        ...{ version: n, size: content.length, content_type: type, sha256: digest(content), current },
        ...{ created_at: expect.any(String), encrypted_size: expect.any(Number), client_encrypted: false },
      });
      expect(page).toEqual({
        items: [version(2, 'second', 'image/png', true), version(1, 'first', 'text/plain', false)],
        next_cursor: null,
      });
      const former = await alice.get(`/files/${id}/content?version=1`);
      expect(former.headers['content-type']).toBe('text/plain');
      expect(former.headers['etag']).toBe(`"${id}.1"`);
    });

    it('can be removed and brought back', async () => {
      const { id, etag } = await uploaded('edit');
      expectStatus(await put(id, 'second', etag), 200);
      expect(expectStatus(await alice.post(`/files/${id}/versions/1/restore`), 200)).toMatchObject({ version: 3 });
      expect(await textOf(id)).toBe('first');
      expectProblem(await alice.delete(`/files/${id}/versions/3`), 409, 'conflict');
      expect((await alice.delete(`/files/${id}/versions/2`)).status).toBe(204);
      for (const version of ['2', '9', '0', 'x', '-1', '1e1']) {
        expectProblem(await alice.delete(`/files/${id}/versions/${version}`), 404, 'file_not_found');
      }
      expectProblem(await alice.get(`/files/${id}/content?version=2`), 404, 'file_not_found');
    });
  });

  describe('a change', () => {
    it('renames, sets an end and a type, with the tag of what it made', async () => {
      const { id, etag } = await uploaded('before');
      const body = { name: 'after', expires_in: 3600, content_type: 'text/html' };
      const answer = await alice.patch(`/files/${id}`, body, { headers: { 'if-match': etag } });
      expect(expectStatus(answer, 200)).toMatchObject({ id, name: 'after', content_type: 'text/html', version: 1 });
      expectProblem(
        await alice.patch(`/files/${id}`, { name: 'x' }, { headers: { 'if-match': etag } }),
        412,
        'precondition_failed',
      );
      expect(expectStatus(await alice.patch(`/files/${id}`, { expires_in: null }), 200).expires_at).toBeNull();
      expect(await textOf(id)).toBe('first');
      await uploaded('holder');
      expectProblem(await alice.patch(`/files/${id}`, { name: 'holder' }), 409, 'file_exists');
    });

    it.each([
      { name: null },
      { name: '' },
      { name: 'a/b' },
      { name: 5 },
      { expires_in: 0 },
      { expires_in: '60' },
      { expires_in: 1.5 },
      { expires_in: 1e12 },
      { content_type: null },
      { content_type: 'x' },
      { size: 1 },
    ])('to %j is refused', async (body) => {
      const { id } = await uploaded(`refused ${JSON.stringify(body)}`.replaceAll('/', ' '));
      expectProblem(await alice.patch(`/files/${id}`, body), 400, 'validation_failed');
    });
  });

  describe('a file of somebody else', () => {
    it('answers as one that does not exist, and without a token 401', async () => {
      const { id } = await uploaded('mine alone');
      const missing = '01930000-0000-7000-8000-000000000000';
      const body = { body: 'x', headers: { 'content-type': 'application/octet-stream', 'if-match': '*' } };
      const routes: [string, string, SendOptions?][] = [
        ['PATCH', '', { json: { name: 'theirs' } }],
        ['PUT', '/content', body],
        ['GET', '/versions'],
        ['DELETE', '/versions/1'],
        ['POST', '/versions/1/restore'],
        ['POST', '/restore'],
        ['POST', '/rekey'],
        ['POST', '/verify'],
      ];
      for (const [method, path, options] of routes) {
        for (const each of [id, missing]) {
          expectProblem(await bob.send(method, `/files/${each}${path}`, options), 404, 'file_not_found');
        }
        const nobody = context.client.as(undefined);
        expectProblem(await nobody.send(method, `/files/${id}${path}`, options), 401, 'unauthenticated');
      }
    });
  });

  describe('the trash', () => {
    const listed = async (query = ''): Promise<readonly object[]> => {
      const page = expectStatus(await alice.get(`/files?trash=true&limit=200${query}`), 200);
      return page.items as object[];
    };

    it('holds removed files until they are restored or removed once more', async () => {
      const { id } = await uploaded('to the trash');
      const view = expectStatus(await alice.get(`/files/${id}`), 200);
      expect((await alice.delete(`/files/${id}`)).status).toBe(204);
      expectProblem(await alice.get(`/files/${id}`), 404, 'file_not_found');
      expectProblem(await alice.get(`/files/${id}/content`), 404, 'file_not_found');
      expect((await listed('&name=to%20the%20trash'))[0]).toMatchObject({ ...view, purge_at: expect.any(String) });
      expect((await bob.get('/files?trash=true')).json).toEqual({ items: [], next_cursor: null });
      await uploaded('to the trash', 'second');
      expectProblem(await alice.post(`/files/${id}/restore`), 409, 'file_exists');
      expectProblem(await alice.post(`/files/${id}/restore`, { name: 'a/b' }), 400, 'validation_failed');
      const restored = await alice.post(`/files/${id}/restore`, { name: 'from the trash' });
      expect(expectStatus(restored, 200)).toEqual({ ...view, name: 'from the trash' });
      expectProblem(await alice.post(`/files/${id}/restore`), 404, 'file_not_found');
      for (let n = 0; n < 2; n += 1) expect((await alice.delete(`/files/${id}`)).status).toBe(204);
      expect(await listed('&prefix=from%20the%20trash')).toHaveLength(1);
      expectProblem(await alice.delete(`/files/${id}?permanent=yes`), 400, 'validation_failed');
      expect((await alice.delete(`/files/${id}?permanent=true`)).status).toBe(204);
      for (const query of ['', '?permanent=true'])
        expectProblem(await alice.delete(`/files/${id}${query}`), 404, 'file_not_found');
      expect(await listed('&prefix=from%20the%20trash')).toEqual([]);
    });

    it('lets links and grants rest until the file is restored, and ends them with it', async () => {
      const { id } = await uploaded('shared and trashed', 'shared');
      const { username } = expectStatus(await bob.get('/me'), 200) as { username: string };
      expectStatus(await alice.post(`/files/${id}/grants`, { username }), 201);
      const { url } = expectStatus(await alice.post(`/files/${id}/links`, {}), 200) as { url: string };
      const nobody = context.client.as(undefined);
      const open = (): Promise<Answer> => nobody.post('/links/open', { token: new URL(url).hash.slice(1) });
      const { ticket, ticket_id } = expectStatus(await open(), 200) as Record<string, string>;
      const holder = nobody.as(ticket);
      const content = `/links/content/${ticket_id}`;
      const sharedWithBob = async (): Promise<readonly string[]> => {
        const { items } = expectStatus(await bob.get('/files?shared=true'), 200) as { items: { id: string }[] };
        return items.map((file) => file.id);
      };

      expectStatus(await alice.delete(`/files/${id}`), 204);
      for (const answer of [await open(), await holder.get(content), await bob.get(`/files/${id}/content`)]) {
        expectProblem(answer, 404, 'file_not_found');
      }
      expect(await sharedWithBob()).not.toContain(id);
      expectProblem(await bob.post(`/files/${id}/restore`), 404, 'file_not_found');

      expectStatus(await alice.post(`/files/${id}/restore`), 200);
      expectStatus(await open(), 200);
      for (const reader of [holder.get(content), bob.get(`/files/${id}/content`)]) {
        expect((await reader).text).toBe('shared');
      }
      expect(await sharedWithBob()).toContain(id);

      expectStatus(await alice.delete(`/files/${id}?permanent=true`), 204);
      expectProblem(await open(), 404, 'not_found');
      expect((await bob.get(`/files/${id}`)).status).toBe(404);
    });

    it('and a new upload of the same name race: one of them has it', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { id } = await uploaded(`raced ${round}`);
        expect((await alice.delete(`/files/${id}`)).status).toBe(204);
        const [back, fresh] = await Promise.all([
          alice.post(`/files/${id}/restore`),
          alice.upload(`raced ${round}`, 'new'),
        ]);
        expect([back.status, fresh.status].sort()).toEqual(back.status === 200 ? [200, 409] : [201, 409]);
      }
    });
  });

  describe('PUT, PATCH and DELETE at the same time', () => {
    it('leave a file that is whole, or none and nothing of it', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { id } = await uploaded(`all at once ${round}`);
        const answers = await Promise.all([
          put(id, 'second', '*'),
          alice.patch(`/files/${id}`, { name: `renamed ${round}` }),
          alice.delete(`/files/${id}`),
          put(id, 'third', '*'),
        ]);
        for (const { status } of answers) expect([200, 204, 404, 409]).toContain(status);
        expect(answers[2].status).toBe(204);
        expectProblem(await alice.get(`/files/${id}`), 404, 'file_not_found');
        expectStatus(await alice.post(`/files/${id}/restore`), 200);
        expect(['first', 'second', 'third']).toContain(await textOf(id));
        expect(expectStatus(await alice.post(`/files/${id}/verify`), 200)).toMatchObject({ ok: true });
      }
    });
  });

  describe('new keys and a verification', () => {
    it('change the stored messages and nothing else', async () => {
      const content = sampleBytes(500_000);
      const { id, etag } = await uploaded('rekeyed', content);
      const before = await put(id, 'second', etag);
      const stored = await alice.head(`/files/${id}/content?encrypted=true`);
      const key = expectStatus(await alice.get(`/files/${id}/key`), 200);
      const rekeyed = await alice.post(`/files/${id}/rekey`);
      expect(expectStatus(rekeyed, 200)).toEqual(before.json);
      expect(rekeyed.headers['etag']).toBe(before.headers['etag']);
      expect((await alice.head(`/files/${id}/content?encrypted=true`)).headers['etag']).not.toBe(
        stored.headers['etag'],
      );
      expect(expectStatus(await alice.get(`/files/${id}/key`), 200).key).not.toBe(key.key);
      expect((await alice.get(`/files/${id}/content?version=1`)).bytes.equals(content)).toBe(true);
      expect(expectStatus(await alice.post(`/files/${id}/verify`), 200)).toEqual({
        ok: true,
        checked_bytes: 500_006,
        versions: [
          { version: 2, ok: true },
          { version: 1, ok: true },
        ],
      });
    });

    it('do not disturb readers, who get all of it, all the time', async () => {
      const content = sampleBytes(400_000);
      const { id } = await uploaded('read while rekeyed', content);
      let rekeying = true;
      const reads = Array.from({ length: 4 }, async () => {
        let count = 0;
        while (rekeying) {
          const answer = await alice.get(`/files/${id}/content`);
          expect([answer.status, answer.bytes.equals(content)]).toEqual([200, true]);
          count += 1;
        }
        return count;
      });
      for (let round = 0; round < 8; round += 1) expectStatus(await alice.post(`/files/${id}/rekey`), 200);
      rekeying = false;
      expect(Math.min(...(await Promise.all(reads)))).toBeGreaterThan(0);
    });

    it('go on while the owner’s key rotates, and after it all opens as before', async () => {
      const { id, etag } = await uploaded('rotated');
      expectStatus(await put(id, 'second', etag), 200);
      const gone = await uploaded('rotated in the trash');
      expect((await alice.delete(`/files/${gone.id}`)).status).toBe(204);
      const [rotation] = await Promise.all([alice.post('/keys/rotate'), put(id, 'third', '*')]);
      expect(rotation.status).toBe(200);
      expect([await textOf(id, '?version=1'), await textOf(id, '?version=2'), await textOf(id)]).toEqual([
        'first',
        'second',
        'third',
      ]);
      expectStatus(await alice.post(`/files/${gone.id}/restore`), 200);
      expect(await textOf(gone.id)).toBe('first');
    });
  });

  describe('the disk', () => {
    it('holds no byte of any version in clear, nor does any log', async () => {
      const { id } = await uploaded('marked', MARKER);
      expectStatus(await put(id, MARKER.repeat(3000), '*', { query: { content_type: `text/x;a="${MARKER}"` } }), 200);
      expectStatus(await alice.patch(`/files/${id}`, { name: MARKER }), 200);
      expectStatus(await alice.post(`/files/${id}/rekey`), 200);
      expect((await alice.delete(`/files/${id}`)).status).toBe(204);
      for (const entry of await readdir(context.dataDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const bytes = await readFile(join(entry.parentPath, entry.name));
        expect([entry.name, bytes.includes(MARKER)]).toEqual([entry.name, false]);
      }
      expect(context.logs()).not.toContain(MARKER);
    });

    it('gives back the space of everything that goes for good', async () => {
      const before = (await blobFiles(context.dataDir)).length;
      const { id } = await uploaded('short lived');
      for (const content of ['a', 'b', 'c']) expectStatus(await put(id, content, '*'), 200);
      expect(await blobFiles(context.dataDir)).toHaveLength(before + 4);
      expect((await alice.delete(`/files/${id}`)).status).toBe(204);
      expect(await blobFiles(context.dataDir)).toHaveLength(before + 4);
      expect((await alice.delete(`/files/${id}?permanent=true`)).status).toBe(204);
      expect(await blobFiles(context.dataDir)).toHaveLength(before);
    });
  });
}
