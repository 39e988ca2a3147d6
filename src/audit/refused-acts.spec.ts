import { signUp } from '../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../test/support/client';
import { type Coffer, startCoffer } from '../../test/support/coffer';
import { AuditIntent, AuditSink, DomainError, auditedAfterLook, newId } from '../kernel';
import { Store } from '../store';
import { ChainedAuditSink } from '.';
import { auditBatchesCollection } from './audit.collection';
import { AuditEntry } from './entry';

let coffer: Coffer;
let client: Client;
let file: string;
beforeAll(async () => {
  coffer = await startCoffer({ env: { USER_QUOTA: '1000' } });
  ({ client } = await signUp(coffer.client));
  ({ id: file } = expectStatus(await client.upload('taken', 'text'), 201) as { id: string });
  expectStatus(await client.post('/groups', { name: 'Taken' }), 200);
}, 120_000);
afterAll(() => coffer.close());

const sink = () => coffer.get(AuditSink) as ChainedAuditSink;
async function entries(): Promise<AuditEntry[]> {
  await sink().onApplicationShutdown();
  const { items } = await coffer.get(Store).collection(auditBatchesCollection).list('time', [], { limit: 1000 });
  return items.flatMap((batch) => JSON.parse(batch.entries) as AuditEntry[]);
}

const none = newId();
const content = (ifMatch: string) => ({
  body: 'new',
  headers: { 'content-type': 'application/octet-stream', 'if-match': ifMatch },
});
const tus = (headers: Record<string, string>) => ({ headers: { 'tus-resumable': '1.0.0', ...headers } });
const newUpload = tus({
  'upload-length': '4',
  'upload-metadata': `filename ${Buffer.from('taken').toString('base64')}`,
});
const record = { data_type: 'note', value: 'value' };

const REFUSED: readonly (readonly [action: string, code: string, send: () => Promise<Answer>])[] = [
  ['record.create', 'quota_exceeded', () => client.post('/sensitive-data', { ...record, value: 'x'.repeat(2_000) })],
  ['record.update', 'not_found', () => client.put(`/sensitive-data/${none}`, record)],
  ['record.delete', 'not_found', () => client.delete(`/sensitive-data/${none}`)],
  ['file.upload', 'file_exists', () => client.upload('taken', 'text')],
  ['file.upload', 'quota_exceeded', () => client.uploadRaw('free', 'x'.repeat(2_000))],
  ['file.replace', 'precondition_failed', () => client.send('PUT', `/files/${file}/content`, content('"stale"'))],
  ['file.change', 'file_not_found', () => client.patch(`/files/${none}`, { name: 'b' })],
  ['file.restore', 'file_not_found', () => client.post(`/files/${none}/restore`)],
  ['file.delete', 'file_not_found', () => client.delete(`/files/${none}`)],
  ['file.delete', 'precondition_failed', () => client.delete(`/files/${file}`, { headers: { 'if-match': '"stale"' } })],
  ['file.version-delete', 'conflict', () => client.delete(`/files/${file}/versions/1`)],
  ['file.rekey', 'file_not_found', () => client.post(`/files/${none}/rekey`)],
  ['file.verify', 'file_not_found', () => client.post(`/files/${none}/verify`)],
  ['file.key-export', 'file_not_found', () => client.get(`/files/${none}/key`)],
  ['upload.create', 'file_exists', () => client.send('POST', '/uploads', newUpload)],
  ['upload.terminate', 'not_found', () => client.send('DELETE', `/uploads/${none}`, tus({}))],
  ['link.create', 'file_not_found', () => client.post(`/files/${none}/links`, {})],
  ['link.remove', 'not_found', () => client.delete(`/files/${file}/links/${none}`)],
  ['upload-link.remove', 'not_found', () => client.delete(`/upload-links/${none}`)],
  ['grant.create', 'not_found', () => client.post(`/files/${file}/grants`, { username: 'nobody-at-all' })],
  ['grant.revoke', 'not_found', () => client.delete(`/files/${file}/grants/${none}`)],
  ['grant.decline', 'not_found', () => client.delete(`/grants/received/${none}`)],
  ['group.create', 'conflict', () => client.post('/groups', { name: 'Taken' })],
  ['group.delete', 'not_found', () => client.delete(`/groups/${none}`)],
  ['group.member-add', 'not_found', () => client.put(`/groups/${none}/members/somebody`, undefined)],
  ['group.member-remove', 'not_found', () => client.delete(`/groups/${none}/members/somebody`)],
  ['group.leave', 'not_found', () => client.delete(`/memberships/${none}`)],
];

describe('An act of a signed-in user that is refused before anything is done', () => {
  it.each(REFUSED)('leaves one entry: %s with %s', async (action, code, send) => {
    const before = (await entries()).length;
    const answer = await send();
    expect(answer.status).toBeGreaterThanOrEqual(400);
    const left = (await entries()).slice(before).filter((entry) => !entry.action.endsWith('.read'));
    expect(left.map((entry) => [entry.phase, entry.action, entry.outcome, entry.details?.['code']])).toEqual([
      ['note', action, 'refused', code],
    ]);
    expect(left[0]?.actor).not.toBe('anonymous');
  });

  it('takes a bounded room of the log, however often it is sent', async () => {
    const before = (await entries()).length;
    for (let count = 0; count < 60; count += 1) {
      expectProblem(await client.delete(`/sensitive-data/${newId()}`), 404, 'not_found');
    }
    const left = (await entries()).slice(before);
    expect(left.length).toBeLessThan(10);
    const counted = left.map(({ phase, details }) => (phase === 'intent' ? 0 : Number(details?.['count'] ?? 1)));
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(60);
  });
});

describe('An act behind a look', () => {
  const intent: AuditIntent = { action: 'record.create', actor: 'ann', details: { view: 'clear' } };

  it('begins once its intent is durable, and tells what is known by then and what came of it', async () => {
    const before = (await entries()).length;
    await auditedAfterLook(
      sink(),
      intent,
      async (begin) => {
        await begin({ grant: 'g' });
        await begin();
        expect((await entries()).slice(before)).toMatchObject([
          { phase: 'intent', details: { view: 'clear', grant: 'g' } },
        ]);
      },
      () => ({ made: 1 }),
    );
    const left = (await entries()).slice(before);
    expect(left).toMatchObject([{ phase: 'intent' }, { phase: 'outcome', outcome: 'done', details: { made: 1 } }]);
    expect(left[0]?.id).toBe(left[1]?.id);
  });

  it('has both entries where it is refused or fails after it was begun', async () => {
    for (const [error, outcome] of [
      [new DomainError('conflict'), 'refused'],
      [new TypeError('broken'), 'failed'],
    ] as const) {
      const before = (await entries()).length;
      const act = auditedAfterLook(sink(), intent, async (begin) => {
        await begin();
        throw error;
      });
      await expect(act).rejects.toBe(error);
      expect((await entries()).slice(before)).toMatchObject([{ phase: 'intent' }, { phase: 'outcome', outcome }]);
    }
  });

  it('does not happen where the log cannot be written', async () => {
    const away = new DomainError('audit_unavailable');
    const broken = { begin: () => Promise.reject(away), note: jest.fn() } as unknown as AuditSink;
    let happened = false;
    const act = auditedAfterLook(broken, intent, async (begin) => {
      await begin();
      happened = true;
    });
    await expect(act).rejects.toBe(away);
    expect([happened, (broken.note as jest.Mock).mock.calls]).toEqual([false, []]);
  });
});
