import { verifyChain } from '../../src/audit';
import { AccountErasure } from '../../src/account-lifecycle/account-erasure';
import { jobsCollection } from '../../src/jobs/jobs.collection';
import { JobRunner } from '../../src/jobs';
import { HOUR } from '../../src/kernel';
import { BackendMoves, WrapRelocations } from '../../src/keys/rotation';
import { UserKeySweeper } from '../../src/keys/user-keys';
import { Store } from '../../src/store';
import { RegistrationSweep } from '../../src/bootstrap/scheduled-tasks';
import { login, newPerson, type Person, signUp } from './accounts';
import { type Answer, type Client } from './client';
import type { Coffer } from './coffer';
import { KillLedger, killSample } from './kill-ledger';
import { KillWriter } from './kill-writers';
import { waitFor } from './processes';
import type { Seeded } from './seeded';
import type { Write, WriteChoice, WriteFault } from './write-faults';

const SAMPLE = killSample(512 * 1024);
const KINDS: readonly WriteFault[] = ['refuse', 'done', 'later'];

/** One write in `each` fails, in one of the three ways. */
export const oneWriteIn =
  (each: number, random: Seeded): WriteChoice =>
  (_: Write) =>
    random.below(each) === 0 ? random.pick(KINDS) : undefined;

interface Owner {
  readonly person: Person;
  readonly ledger: KillLedger;
  readonly writer: KillWriter;
}

/**
 * Persons who write while administrators rotate, retire, move and erase, and what each of them was
 * told.
 */
export class Chaos {
  /** What a caller was told that no caller should be told. */
  readonly faults: string[] = [];
  readonly #owners: Owner[] = [];
  /** Names whose registration was refused, or whose outcome nobody knows. */
  readonly #refused: Person[] = [];
  readonly #erased: Person[] = [];
  readonly #doubted: Person[] = [];
  #admin!: Person;
  #retired = 0;

  constructor(
    private readonly coffer: Coffer,
    private readonly random: Seeded,
    /** Whether keys can move to Vault and back. */
    private readonly movesKeys: boolean,
  ) {}

  /** The first persons, before anything fails. */
  async begin(): Promise<void> {
    this.#admin = newPerson('admin');
    await signUp(this.coffer.client, this.#admin);
    for (let count = 0; count < 3; count += 1) await this.#register();
  }

  /** So many acts, some of them at once. */
  async run(acts: number): Promise<void> {
    let left = acts;
    const worker = async (): Promise<void> => {
      for (left -= 1; left >= 0; left -= 1) await this.#act();
    };
    await Promise.all([worker(), worker(), worker()]);
  }

  /** What must hold once writes succeed again. */
  async check(): Promise<void> {
    await this.#jobsEnd();
    for (const owner of this.#owners) await this.#checkOwner(owner);
    for (const person of this.#erased) await this.#expectGone(person);
    await this.#checkRetired();
    this.coffer.clock.offset += 2 * HOUR;
    await this.coffer.get(AccountErasure).resume();
    await this.coffer.get(UserKeySweeper).sweep();
    await this.coffer.get(RegistrationSweep).sweep();
    for (const person of this.#refused) await this.#expectFree(person);
    const { faults } = await verifyChain(this.coffer.get(Store));
    this.faults.push(...faults.map(({ kind, row }) => `audit: ${kind} ${row}`));
  }

  async #act(): Promise<void> {
    const turn = this.random.below(100);
    try {
      if (turn < 60) await this.#write();
      else if (turn < 75) await this.#register();
      else if (turn < 80) this.#told(await (await this.#as(this.#owner())).post('/keys/rotate'));
      else if (turn < 87) this.#told(await (await this.#administrator()).post('/rotate-master-key'));
      else if (turn < 92) await this.#retire();
      else if (turn < 95) await this.#erase();
      else if (this.movesKeys) await this.#move();
    } catch {
      // A refusal, or an answer that the next look will explain.
    }
  }

  async #write(): Promise<void> {
    const { writer } = this.#owner();
    let acts = 0;
    await writer.run(() => (acts += 1) > 1);
  }

  async #register(): Promise<void> {
    const person = newPerson('chaos');
    const answer = this.#told(await this.coffer.client.post('/register', person));
    if (answer.status !== 200) return void this.#refused.push(person);
    // The account is there: the login that gives the token is tried until it is not refused.
    const client = await waitFor('a login', async () => this.#signedIn(person).catch(() => undefined), 30_000);
    const ledger = new KillLedger(SAMPLE);
    const traffic = { client, ledger, sample: SAMPLE, largest: 64 * 1024 };
    const writer = new KillWriter(traffic, person.username, this.random.below(2 ** 31));
    this.#owners.push({ person, ledger, writer });
  }

  async #retire(): Promise<void> {
    const admin = await this.#administrator();
    const { master_key } = (await admin.get('/keys')).json as { master_key: { current: number } };
    const version = master_key.current - 1;
    if (version < 1) return;
    const answer = this.#told(await admin.post(`/keys/versions/${version}/retire`));
    if (answer.status === 200) this.#retired = Math.max(this.#retired, version);
  }

  async #erase(): Promise<void> {
    if (this.#owners.length < 4) return;
    const client = await this.#as(this.#owners[0]!);
    const { person } = this.#owners.shift()!;
    const { status } = this.#told(await client.delete('/me'));
    (status === 200 ? this.#erased : this.#doubted).push(person);
  }

  async #move(): Promise<void> {
    if (this.random.below(2) === 0) {
      await this.coffer.get(BackendMoves).begin(this.random.pick(['kv', 'local']), 'chaos');
    } else await this.coffer.get(WrapRelocations).begin(this.random.pick(['vault', 'store']), 'chaos');
  }

  async #jobsEnd(): Promise<void> {
    const jobs = this.coffer.get(Store).collection(jobsCollection);
    await waitFor(
      'all jobs to end',
      async () => {
        await this.coffer.get(JobRunner).poll();
        return (await jobs.count('state', ['running'])) === 0;
      },
      120_000,
    );
  }

  async #checkOwner({ person, ledger }: Owner): Promise<void> {
    await ledger.check(await this.#signedIn(person), true).catch((error: unknown) => ledger.faults.push(String(error)));
    this.faults.push(...ledger.faults.map((fault) => `${person.username}: ${fault}`));
  }

  async #expectGone({ username, password }: Person): Promise<void> {
    const { status } = await this.coffer.client.post('/login', { username, password });
    if (status !== 401) this.faults.push(`${username} was erased, and a login answers ${status}`);
  }

  async #checkRetired(): Promise<void> {
    const { master_key } = (await (await this.#administrator()).get('/keys')).json as {
      master_key: { versions: { version: number }[] };
    };
    const there = master_key.versions.filter(({ version }) => version <= this.#retired);
    if (there.length > 0) this.faults.push(`versions up to ${this.#retired} were retired: ${JSON.stringify(there)}`);
  }

  /**
   * Where nobody knows the outcome it may be an account after all; else another person may have the
   * name.
   */
  async #expectFree(person: Person): Promise<void> {
    if (await this.#signedIn(person).catch(() => undefined)) return;
    const other = { ...newPerson(), username: person.username, password: 'Another-Horse-8-Battery' };
    const answer = await this.coffer.client.post('/register', other);
    if (answer.status !== 200)
      this.faults.push(`the name ${person.username} is not free: ${answer.status} ${answer.text}`);
    else await signedIn(this.coffer.client, other);
  }

  #told(answer: Answer): Answer {
    if (answer.status >= 500 && answer.status !== 503) this.faults.push(`${answer.status} ${answer.text}`);
    return answer;
  }

  #owner(): Owner {
    return this.random.pick(this.#owners);
  }

  #as({ person }: Owner): Promise<Client> {
    return this.#signedIn(person);
  }

  #administrator(): Promise<Client> {
    return this.#signedIn(this.#admin);
  }

  #signedIn(person: Person): Promise<Client> {
    return signedIn(this.coffer.client, person);
  }
}

const signedIn = async (client: Client, person: Person): Promise<Client> =>
  client.as((await login(client, person)).access_token);
