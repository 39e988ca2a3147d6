import { signUp } from '../../test/support/accounts';
import { Coffer, startCoffer } from '../../test/support/coffer';
import { codeOf } from '../../test/support/second-factors';
import { auditBatchesCollection } from '../audit/audit.collection';
import { AuditEntry } from '../audit/entry';
import { Store } from '../store';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

/** All entries so far. A read flushes the entries queued before it. */
async function entries(flush: () => Promise<unknown>): Promise<AuditEntry[]> {
  await flush();
  const { items } = await coffer.get(Store).collection(auditBatchesCollection).list('time', [], { limit: 1000 });
  return items.flatMap((batch) => JSON.parse(batch.entries) as AuditEntry[]);
}

const outcomes = (all: readonly AuditEntry[]): string[] =>
  all
    .filter(({ phase }) => phase === 'outcome' || phase === 'note')
    .map(({ action, outcome, details }) => [action, outcome, details?.['code']].filter(Boolean).join(' '));

describe('The audit log', () => {
  it('tells of each act of a login what came of it, and who did it', async () => {
    const { person, client } = await signUp(coffer.client);
    const { username, password } = person;
    await coffer.client.post('/login', { username, password: 'Wrong-Horse-7' });
    await coffer.client.post('/login', { username: 'nobody-at-all', password });
    const { secret } = (await client.post('/2fa/totp')).json as { secret: string };
    await client.post('/2fa/totp/confirm', { otp: '000000' });
    await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) });
    const { codes } = (await client.post('/2fa/recovery-codes')).json as { codes: string[] };
    await client.post('/step-up', { password: 'Wrong-Horse-7' });
    const fresh = (await client.post('/step-up', { password, otp: codes[0] })).json as { access_token: string };
    const { mfa_token } = (await coffer.client.post('/login', { username, password })).json as { mfa_token: string };
    await coffer.client.post('/verify-otp', { username, mfa_token, otp: '000000' });
    await client.as(fresh.access_token).post('/logout');
    const { client: other } = await signUp(coffer.client);
    const all = await entries(() => other.get('/sensitive-data'));
    expect(outcomes(all)).toEqual(
      expect.arrayContaining([
        'account.register done',
        'login.password done',
        'login.password refused login_failed',
        'factor.totp-begin done',
        'factor.totp-on refused otp_failed',
        'factor.totp-on done',
        'factor.recovery-codes done',
        'session.step-up refused login_failed',
        'session.step-up done',
        'login.second-factor refused otp_failed',
        'session.logout done',
      ]),
    );
    const userId = (JSON.parse(Buffer.from(client.token!.split('.')[1]!, 'base64url').toString()) as { sub: string })
      .sub;
    const failed = all.filter(({ action }) => action === 'login.password').map(({ actor }) => actor);
    expect(new Set(failed)).toEqual(new Set([userId, 'anonymous', expect.any(String)]));
    const text = JSON.stringify(all);
    const secrets = [username, person.email, password, 'Wrong-Horse-7', secret, mfa_token, ...codes, 'nobody-at-all'];
    expect(secrets.filter((value) => text.includes(value))).toEqual([]);
  });

  it('tells of a refresh token that came back', async () => {
    const { person, client } = await signUp(coffer.client);
    const { username, password } = person;
    const first = (await coffer.client.post('/login', { username, password })).json as { refresh_token: string };
    await coffer.client.post('/token/refresh', first.refresh_token ? { refresh_token: first.refresh_token } : {});
    coffer.clock.offset += 30_000;
    await coffer.client.post('/token/refresh', { refresh_token: first.refresh_token });
    const all = await entries(() => client.get('/sensitive-data'));
    expect(all.filter(({ action }) => action === 'session.refresh-reuse')).toEqual([
      expect.objectContaining({ resource: `session/${first.refresh_token.split('.')[0]!}`, outcome: 'done' }),
    ]);
  });
});
