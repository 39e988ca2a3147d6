import { Logger } from '@nestjs/common';
import { signUp } from '../../test/support/accounts';
import { Coffer, startCoffer } from '../../test/support/coffer';
import { auditBatchesCollection } from '../audit/audit.collection';
import { AuditEntry } from '../audit/entry';
import { AuditSink } from '../kernel';
import { ChainedAuditSink, verifyChain } from '../audit';
import { Store } from '../store';

let coffer: Coffer;
let lines: Record<string, unknown>[] = [];

async function start(env: Record<string, string> = {}): Promise<void> {
  coffer = await startCoffer({ env });
  lines = [];
  jest.spyOn(Logger.prototype, 'log').mockImplementation((line: unknown) => {
    if (typeof line === 'object') lines.push(line as Record<string, unknown>);
  });
}
afterEach(async () => {
  jest.restoreAllMocks();
  await coffer.close();
});

async function entries(): Promise<AuditEntry[]> {
  await (coffer.get(AuditSink) as ChainedAuditSink).onApplicationShutdown();
  const { items } = await coffer.get(Store).collection(auditBatchesCollection).list('time', [], { limit: 1000 });
  return items.flatMap((batch) => JSON.parse(batch.entries) as AuditEntry[]);
}
const of = async (action: string): Promise<AuditEntry[]> =>
  (await entries()).filter((entry) => entry.action === action);
const refusedRoutes = (route: string) =>
  lines.filter((line) => line['route'] === route && Number(line['status']) >= 400);
const userIdOf = (token: string): string =>
  (JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sub: string }).sub;

describe('A refused guess', () => {
  it('at the password of a link and of a drop box is audited as one at a login is, and counted in a flood', async () => {
    await start();
    const { person, client } = await signUp(coffer.client);
    const login = { username: person.username, password: person.password };
    const fresh = client.as(
      ((await coffer.client.post('/login', login)).json as { access_token: string }).access_token,
    );
    const { id } = (await fresh.upload('a.txt', 'hello')).json as { id: string };
    const password = 'Right-Horse-7';
    const link = (await fresh.post(`/files/${id}/links`, { password })).json as { id: string; url: string };
    const box = (await fresh.post('/upload-links', { password })).json as { id: string; url: string };
    for (const [route, made] of [
      ['/links/open', link],
      ['/upload-links/open', box],
    ] as const) {
      const token = decodeURIComponent(made.url.split('#')[1]!.replace(/^token=/, ''));
      for (let n = 0; n < 12; n += 1) {
        const answer = await coffer.client.post(route, { token, password: 'Wrong-Horse-7' });
        expect([401, 429]).toContain(answer.status);
      }
      expect((await coffer.client.post(route, { token: token.slice(0, -1), password })).status).toBe(404);
    }
    for (const [action, made] of [
      ['link.open', link],
      ['upload-link.open', box],
    ] as const) {
      const all = await of(action);
      const outcomes = all.filter(({ phase }) => phase === 'outcome');
      expect(outcomes.slice(0, 5)).toEqual(
        Array(5).fill(
          expect.objectContaining({
            actor: 'anonymous',
            resource: `link/${made.id}`,
            outcome: 'refused',
            details: { code: 'login_failed' },
          }),
        ),
      );
      expect(outcomes.map(({ details }) => details?.['count'] ?? 1).reduce((a, b) => Number(a) + Number(b), 0)).toBe(
        13,
      );
      expect(JSON.stringify(all)).not.toContain('Wrong-Horse');
    }
  });

  it('at the code of a login that does not exist is audited, and so is each code that is refused', async () => {
    await start();
    const { person, client } = await signUp(coffer.client);
    const { username } = person;
    await coffer.client.post('/verify-otp', { username, mfa_token: 'a'.repeat(43), otp: '000000' });
    await client.post('/2fa/totp');
    await client.post('/2fa/totp/confirm', { otp: '000000' });
    const notes = (await entries()).filter(({ outcome }) => outcome === 'refused');
    expect(notes.map(({ action, details }) => [action, details?.['code']])).toEqual([
      ['login.second-factor', 'otp_failed'],
      ['factor.totp-on', 'otp_failed'],
    ]);
  });

  it('at each other public route is audited as well, by whichever look it is refused', async () => {
    await start();
    const { person, client } = await signUp(coffer.client);
    const { username, password } = person;
    const second = (await coffer.client.post('/login', { username, password })).json as { refresh_token: string };
    await client.delete('/sessions');
    const anonymous = coffer.client;
    const before = (await entries()).length;
    await anonymous.post('/verify-registration', { email: 'nobody@example.org', otp: '000000' });
    await anonymous.post('/verify-registration', { email: 'nobody@example.org', username: '?', otp: '000000' });
    await anonymous.post('/send-otp', { username, mfa_token: 'a'.repeat(43) });
    await anonymous.post('/token/refresh', { refresh_token: 'made-up' });
    await anonymous.post('/token/refresh', { refresh_token: second.refresh_token });
    await anonymous.as('dt_made-up').get('/links/content/made-up');
    const left = (await entries()).slice(before);
    expect(left.map(({ phase, action, actor, details }) => [phase, action, actor, details?.['code']])).toEqual([
      ['note', 'account.confirm', 'anonymous', 'no_pending_registration'],
      ['note', 'account.confirm', 'anonymous', 'no_pending_registration'],
      ['note', 'login.code-mail', 'anonymous', 'invalid_session'],
      ['note', 'session.refresh', 'anonymous', 'invalid_session'],
      ['note', 'session.refresh', 'anonymous', 'invalid_session'],
      ['note', 'file.download', 'anonymous', 'unauthenticated'],
    ]);
  });

  it('of 300 at registrations that do not exist, or for mails that come too soon, takes less room than forty', async () => {
    await start();
    const { person, client } = await signUp(coffer.client);
    const before = (await entries()).length;
    for (let n = 0; n < 300; n += 1) {
      await coffer.client.post('/verify-registration', { email: `nobody-${n}@example.org`, otp: '000000' });
    }
    for (let n = 0; n < 60; n += 1) await client.post('/send-otp', { username: person.username });
    const left = (await entries()).slice(before);
    expect(left.filter(({ action }) => action === 'account.confirm').length).toBeLessThan(25);
    expect(left.filter(({ action }) => action === 'session.code-mail').length).toBeLessThan(16);
  });

  it('of 300 at one account takes less room than twenty, all of them counted, and the chain holds', async () => {
    await start();
    const { person } = await signUp(coffer.client);
    const guess = { username: person.username, password: 'Wrong-Horse-7' };
    const before = (await of('login.password')).length;
    for (let n = 0; n < 300; n += 1) await coffer.client.post('/login', guess);
    const all = (await of('login.password')).slice(before);
    expect(all.length).toBeLessThan(20);
    const refused = all.filter(({ outcome }) => outcome === 'refused');
    expect(refused.reduce((sum, { details }) => sum + Number(details?.['count'] ?? 1), 0)).toBe(300);
    expect((await verifyChain(coffer.get(Store))).faults).toEqual([]);
  });
});

describe('The line of a refusal', () => {
  it.each([
    ['full', '127.0.0.1'],
    ['truncated', '127.0.0.0/24'],
    ['off', undefined],
  ])(
    'has with LOG_ADDRESSES=%s the address as %s and the id of the account, and so has the audit log',
    async (form, address) => {
      await start({ LOG_ADDRESSES: form });
      const { person, client } = await signUp(coffer.client);
      const userId = userIdOf(client.token!);
      await coffer.client.post('/login', { username: person.username, password: 'Wrong-Horse-7' });
      await coffer.client.post('/login', { username: 'nobody-at-all', password: 'Wrong-Horse-7' });
      await client.get('/sensitive-data/nowhere');
      await client.get('/sensitive-data');
      expect(refusedRoutes('/login').map((line) => [line['address'], line['user_id']])).toEqual([
        [address, userId],
        [address, undefined],
      ]);
      expect(refusedRoutes('/sensitive-data/:id')).toMatchObject([{ user_id: userId, ...(address && { address }) }]);
      const [served] = lines.filter((line) => line['route'] === '/sensitive-data');
      expect(served).not.toHaveProperty('address');
      expect(JSON.stringify(lines)).not.toMatch(/nobody-at-all|Wrong-Horse/);
      expect(JSON.stringify(lines)).not.toContain(person.username);
      const refused = (await of('login.password')).filter(({ outcome }) => outcome === 'refused');
      expect(refused.map((entry) => entry.address)).toEqual([address, address]);
    },
  );
});
