import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { login, type Person, register, signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { waitFor } from '../support/processes';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';
import { type Service, startService } from '../support/service';
import { runTool, type ToolRun } from '../support/tools';

const SECRET_NOTE = 'a note that goes with its owner';

interface Answered {
  readonly receipt: {
    readonly account_id: string;
    readonly tier: string;
    readonly counts: string;
    readonly erased: Readonly<Record<string, number>>;
  };
  readonly signature: string;
}

async function someone(client: Client): Promise<{ person: Person; client: Client; id: string }> {
  const { person, client: own } = await signUp(client);
  const { id } = expectStatus(await own.get('/me'), 200) as { id: string };
  return { person, client: own, id };
}

async function withData(client: Client): Promise<{ person: Person; client: Client; id: string; note: string }> {
  const made = await someone(client);
  const note = expectStatus(await made.client.post('/sensitive-data', { data_type: 'note', value: SECRET_NOTE }), 200);
  expectStatus(await made.client.upload('letter.txt', 'the content of a letter'), 201);
  return { ...made, note: (note as { id: string }).id };
}

async function isGone(client: Client, { person, own }: { person: Person; own: Client }): Promise<void> {
  expectProblem(await own.get('/sensitive-data'), 401, 'invalid_session');
  const { username, password } = person;
  expectProblem(await client.post('/login', { username, password }), 401, 'login_failed');
}

describeOnProfiles('An erase', (context) => erases(context));

function erases(context: ProfileContext): void {
  it('answers with a receipt, and leaves neither login, nor token, nor data', async () => {
    const { person, client: own, id } = await withData(context.client);
    const { receipt } = expectStatus(await own.delete('/me'), 200) as Answered;
    expect(receipt).toMatchObject({
      format: 'coffer-erasure-receipt',
      account_id: id,
      requested_by: 'owner',
      tier: 'live',
      counts: 'exact',
      erased: { sessions: 1, 'sensitive-data': 1, files: 1, account: 1 },
      user_key: { state: 'destroyed', wrapped_by: [{ version: 1, state: 'opens' }] },
    });
    await isGone(context.client, { person, own });
  });

  it('ends all other sessions and their refresh tokens at once, on every process', async () => {
    const { person, client: own } = await withData(context.client);
    const other = await login(context.client, person);
    expectStatus(await own.delete('/me'), 200);
    for (const { url } of context.services) {
      const client = new Client(url);
      expectProblem(await client.as(other.access_token).get('/me'), 401, 'invalid_session');
      const refresh = { refresh_token: other.refresh_token };
      expectProblem(await client.post('/token/refresh', refresh), 401, 'invalid_session');
    }
  });

  it('is felt at once by a process whose cache holds the key', async () => {
    const { client: own, note } = await withData(context.client);
    const processes = context.services.map(({ url }) => new Client(url).as(own.token));
    const read = (from: Client) => from.get(`/sensitive-data/${note}`);
    for (const each of processes) expect((await read(each)).json).toMatchObject({ value: SECRET_NOTE });
    expectStatus(await processes[0]!.delete('/me'), 200);
    const answers = await Promise.all(processes.map(read));
    for (const answer of answers) expectProblem(answer, 401, 'invalid_session');
  });

  it('of somebody else is for administrators, who get the receipt again when they repeat it', async () => {
    const { client: own, person, id } = await withData(context.client);
    const stranger = await someone(context.client);
    expectProblem(await stranger.client.delete(`/users/${id}`), 403, 'permission_denied');
    const first = expectStatus(await context.admin.delete(`/users/${id}`), 200) as Answered;
    const again = expectStatus(await context.admin.delete(`/users/${id}`), 200) as Answered;
    expect({ ...again.receipt, issued_at: '' }).toEqual({ ...first.receipt, issued_at: '' });
    await isGone(context.client, { person, own });
  });

  it('of nobody is not found', async () => {
    expectProblem(await context.admin.delete('/users/019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f'), 404, 'not_found');
  });

  it('of the last administrator is refused, and the account goes on', async () => {
    const { id } = expectStatus(await context.admin.get('/me'), 200) as { id: string };
    expectProblem(await context.admin.delete('/me'), 409, 'conflict');
    expectProblem(await context.admin.delete(`/users/${id}`), 409, 'conflict');
    expectStatus(await context.admin.get('/me'), 200);
  });

  it('asked for many times at once is one erase', async () => {
    const { client: own, person, id } = await withData(context.client);
    const answers = await Promise.all([
      ...[1, 2, 3].map(() => context.admin.delete(`/users/${id}`)),
      ...[1, 2].map(() => own.delete('/me')),
    ]);
    const done = answers.filter(({ status }) => status === 200);
    expect(done.length).toBeGreaterThan(0);
    expect(answers.filter(({ status }) => ![200, 401, 404, 409].includes(status))).toEqual([]);
    expect(new Set(done.map((answer) => (answer.json as Answered).receipt.account_id))).toEqual(new Set([id]));
    await isGone(context.client, { person, own });
  });

  it('leaves nothing behind of what came in at the same time', async () => {
    const { client: own, person, id } = await withData(context.client);
    let erased = false;
    // A login that is refused is not tried again: enough of them would lock the name, however slow
    // the machine.
    let mayLogIn = true;
    const logIn = async (): Promise<number[]> => {
      if (!mayLogIn) return [];
      const { status } = await context.client.post('/login', { username: person.username, password: person.password });
      mayLogIn &&= status === 200;
      return [status];
    };
    const write = async (): Promise<number[]> => {
      const statuses: number[] = [];
      while (!erased) {
        const [logins, ...answers] = await Promise.all([
          logIn(),
          own.post('/sensitive-data', { data_type: 'note', value: SECRET_NOTE }),
          own.upload(`${statuses.length}-${Math.random()}.txt`, Buffer.alloc(50_000, 'x')),
        ]);
        statuses.push(...logins, ...answers.map(({ status }) => status));
      }
      return statuses;
    };
    const writing = [write(), write()];
    const answer = await context.admin.delete(`/users/${id}`);
    erased = true;
    const statuses = (await Promise.all(writing)).flat();
    expectStatus(answer, 200);
    expect(statuses.filter((status) => ![200, 201, 401, 404, 409, 429].includes(status))).toEqual([]);
    await isGone(context.client, { person, own });
    const again = await register(context.client, person);
    const fresh = context.client.as((await login(context.client, again)).access_token);
    expect(expectStatus(await fresh.get('/sensitive-data'), 200)).toEqual([]);
  }, 60_000);

  it('frees the name for an account that sees nothing of the former one', async () => {
    const { client: own, person, note } = await withData(context.client);
    expectStatus(await own.delete('/me'), 200);
    const fresh = (await signUp(context.client, person)).client;
    expect(expectStatus(await fresh.get('/sensitive-data'), 200)).toEqual([]);
    expectProblem(await fresh.get(`/sensitive-data/${note}`), 404, 'not_found');
    expect((expectStatus(await fresh.get('/files'), 200) as { items: unknown[] }).items).toEqual([]);
    expectProblem(await fresh.get('/files/by-name/letter.txt/content'), 404, 'file_not_found');
    expectProblem(await own.get('/me'), 401, 'invalid_session');
  });
}

describe('A receipt', () => {
  let service: Service;
  let folder: string;
  beforeAll(async () => {
    service = await startService();
    folder = mkdtempSync(join(tmpdir(), 'coffer-receipts-'));
  });
  afterAll(async () => {
    await service.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  const receipts = (...args: string[]): Promise<ToolRun> => runTool(service, 'receipts', ...args);
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  it('is verified without the service, and says in words what holds', async () => {
    const client = new Client(service.url);
    await signUp(client);
    const { client: own, id } = await withData(client);
    const text = (await own.delete('/me')).text;
    const answer = JSON.parse(text) as Answered;
    const key = file('key.pem', (await receipts('public-key')).out);
    const offline = await receipts('verify', file('receipt.json', text), '--key', key);
    expect(offline).toMatchObject({ code: 0, err: '' });
    for (const part of [id, 'Tier          live', 'versions that may have wrapped it: 1 opens', 'keyring file']) {
      expect(offline.out).toContain(part);
    }
    expect((await receipts('verify', file('receipt.jws', answer.signature), '--key', key)).code).toBe(0);
    const changed = text.replace('"tier":"live"', '"tier":"backups"');
    expect(await receipts('verify', file('changed.json', changed), '--key', key)).toMatchObject({ code: 1, out: '' });
    const issued = await receipts('issue', id);
    expect(JSON.parse(issued.out)).toMatchObject({ receipt: { account_id: id, tier: 'live' } });
    expect((await receipts('verify', file('issued.json', issued.out), '--key', key)).code).toBe(0);
  });

  it.each([
    ['no command', [], 2],
    ['no key', ['verify', 'receipt.json'], 2],
    ['no file', ['verify', 'absent.json', '--key', 'absent.pem'], 1],
    ['an account that was never erased', ['issue', '019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f'], 1],
  ])('is refused with %s', async (_what, args, code) => {
    const said = await receipts(...args);
    expect(said).toMatchObject({ code, out: '' });
    expect(said.err).not.toBe('');
  });
});

/** kill -9 at each point of an erase. */
describe('An erase that is killed', () => {
  /**
   * What goes on by itself does so every half second there, where nothing waits for it to stay
   * undone.
   */
  let soon: Service;
  let usual: Service;
  const administrators = new Map<Service, Person>();

  beforeAll(async () => {
    soon = await startService({ env: { COFFER_SCHEDULE_SPEED: '20' } });
    usual = await startService();
    for (const service of [soon, usual]) administrators.set(service, (await signUp(new Client(service.url))).person);
  }, 120_000);
  afterAll(() => Promise.all([soon.dispose(), usual.dispose()]));

  async function killedAt(failpoint: string, service: Service) {
    const client = new Client(service.url);
    const administrator = administrators.get(service)!;
    const made = await withData(client);
    await service.arm(failpoint);
    const admin = client.as((await login(client, administrator)).access_token);
    const mine = client.as((await login(client, made.person)).access_token);
    await expect(mine.delete('/me')).rejects.toThrow();
    await service.ended();
    await service.restart();
    return { client, admin, administrator, made, own: mine };
  }

  it.each([
    'erase.decided',
    'erase.sessions-ended',
    'user-key.erased',
    'erase.key-destroyed',
    'erase.wraps-noted',
    'erase.rows-removed',
    'erase.module-erased:3',
    'erase.account-removed',
  ])(
    'at %s is finished by itself, and meanwhile nobody gets in or takes the name',
    async (failpoint) => {
      const { client, admin, made, own } = await killedAt(failpoint, soon);
      await isGone(client, { person: made.person, own });
      const { username, email } = made.person;
      await waitFor('the end of the erase', async () => {
        const taken = await client.post('/register', { username, email, password: 'Another-Horse-8-Stable' });
        if (taken.status === 200) return true;
        expectProblem(taken, 409, 'user_exists');
        return false;
      });
      await isGone(client, { person: made.person, own });
      const { receipt: later } = expectStatus(await admin.delete(`/users/${made.id}`), 200) as Answered;
      expect(later).toMatchObject({ account_id: made.id, counts: 'at_least' });
    },
    90_000,
  );

  it('at erase.withdrawn, as the last administrator is refused, gives the account back by itself', async () => {
    const service = await startService({ env: { COFFER_SCHEDULE_SPEED: '20' } });
    const client = new Client(service.url);
    const { person } = await signUp(client);
    await service.arm('erase.withdrawn');
    const only = client.as((await login(client, person)).access_token);
    await expect(only.delete('/me')).rejects.toThrow();
    expect(await service.ended()).toBeNull();
    await service.restart();
    const back = await waitFor('the account to be given back', async () => {
      const { username, password } = person;
      const answer = await client.post('/login', { username, password });
      return answer.status === 200 ? client.as(answer.json.access_token as string) : undefined;
    });
    expectProblem(await back.delete('/me'), 409, 'conflict');
    expectStatus(await back.get('/keys'), 200);
    await service.dispose();
  }, 90_000);

  it.each(['erase.claimed', 'erase.account-marked'])(
    'at %s, where nothing was decided, is not taken up by a second wish at once',
    async (failpoint) => {
      const { admin, made } = await killedAt(failpoint, usual);
      expectProblem(await admin.delete(`/users/${made.id}`), 409, 'conflict');
    },
    90_000,
  );
});

describe('A backup from before an erase', () => {
  it('opens while the master key version lives that wrapped the key, as the receipt says', async () => {
    const backup = mkdtempSync(join(tmpdir(), 'coffer-backup-'));
    const service = await startService();
    const client = new Client(service.url);
    await signUp(client);
    const made = await withData(client);
    await service.stop();
    cpSync(service.dataDir, backup, { recursive: true });
    await service.restart();
    const own = client.as((await login(client, made.person)).access_token);
    expect((expectStatus(await own.delete('/me'), 200) as Answered).receipt.tier).toBe('live');
    await service.stop();

    const restored = await startService({ dataDir: backup });
    try {
      const again = new Client(restored.url);
      const back = again.as((await login(again, made.person)).access_token);
      expect((await back.get(`/sensitive-data/${made.note}`)).json).toMatchObject({ value: SECRET_NOTE });
    } finally {
      await restored.dispose();
      await service.dispose();
      rmSync(backup, { recursive: true, force: true });
    }
  }, 60_000);
});
