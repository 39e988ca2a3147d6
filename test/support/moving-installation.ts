import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { login, newPerson, type Person, signUp } from './accounts';
import { Client, expectStatus } from './client';
import { type Managed, startProcess } from './processes';
import { type Service, startService } from './service';
import { commandArgs, runTool, type ToolRun } from './tools';

interface Kept {
  readonly client: Client;
  readonly id: string;
  readonly value: string;
}

/**
 * A service with users who read and write without an end, while the master key moves below them.
 * Nothing is cached.
 */
export class MovingInstallation {
  /** Everything that was answered but success and 503. */
  readonly faults: string[] = [];
  reads = 0;
  refused = 0;
  #admin!: Person;
  #kept: Kept[] = [];
  #busy: Promise<unknown> | undefined;
  #stop = false;

  private constructor(
    readonly service: Service,
    private readonly dataDir: string,
  ) {}

  static async start(env: Readonly<Record<string, string>>): Promise<MovingInstallation> {
    const dataDir = await mkdtemp(join(tmpdir(), 'coffer-moving-'));
    const service = await startService({ dataDir, env: { KMS_CACHE_SECONDS: '0', LOG_LEVEL: 'warn', ...env } });
    const installation = new MovingInstallation(service, dataDir);
    installation.#admin = newPerson('admin');
    await signUp(new Client(service.url), installation.#admin);
    for (let user = 0; user < 3; user += 1) await installation.addUser();
    installation.#busy = Promise.all([installation.#readOn(), installation.#writeOn()]).catch((error: unknown) =>
      installation.faults.push(String(error)),
    );
    return installation;
  }

  /** The command beside the service, with the service's environment but for `env`. */
  keys(args: readonly string[], env: Readonly<Record<string, string>>): Promise<ToolRun> {
    return runTool({ env: { ...this.service.env, ...env }, dataDir: this.dataDir }, 'keys', ...args);
  }

  migrate(from: string, to: string, env: Readonly<Record<string, string>> = {}): Promise<ToolRun> {
    return this.keys(['migrate', '--to', to], { MASTER_KEY: from, ...env });
  }

  /** The same as a process that a test can put to sleep. */
  startMigrate(from: string, to: string, env: Readonly<Record<string, string>>): Managed {
    return startProcess(process.execPath, commandArgs('keys', 'migrate', '--to', to), {
      env: { ...this.service.env, MASTER_KEY: from, ...env },
      cwd: this.dataDir,
    });
  }

  moveUserKeys(from: string, to: string, env: Readonly<Record<string, string>> = {}): Promise<ToolRun> {
    return this.keys(['migrate', '--user-keys', to], { USER_KEY_STORE: from, ...env });
  }

  async addUser(): Promise<Person> {
    const person = newPerson();
    const { client } = await signUp(new Client(this.service.url), person);
    await this.#store(client);
    return person;
  }

  /** Signed in anew, so that a proof of who asks is fresh. */
  async admin(): Promise<Client> {
    const client = new Client(this.service.url);
    return client.as((await login(client, this.#admin)).access_token);
  }

  /** The home, and the versions that something is wrapped by. */
  async masterKey(): Promise<{ home: string; inUse: number[]; versions: number[] }> {
    const { home, versions } = (
      expectStatus(await (await this.admin()).get('/keys'), 200) as {
        master_key: { home: string; versions: { version: number; in_use: boolean }[] };
      }
    ).master_key;
    const inUse = versions.flatMap(({ version, in_use }) => (in_use ? [version] : []));
    return { home, inUse, versions: versions.map(({ version }) => version) };
  }

  /** All values once, each of which has to be there. */
  async readAll(): Promise<void> {
    for (const { client, id, value } of this.#kept) {
      const answer = await client.get(`/sensitive-data/${id}`);
      if (answer.status !== 200 || answer.json.value !== value) throw new Error(`${answer.status} ${answer.text}`);
    }
  }

  async quiesce(): Promise<void> {
    this.#stop = true;
    await this.#busy;
  }

  async close(): Promise<void> {
    await this.quiesce();
    await this.service.dispose();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async #store(client: Client): Promise<void> {
    const value = `value ${this.#kept.length}`;
    const answer = await client.post('/sensitive-data', { data_type: 'note', value });
    if (answer.status === 200) this.#kept.push({ client, id: answer.json.id as string, value });
    else this.#note(answer.status, answer.text);
  }

  async #readOn(): Promise<void> {
    while (!this.#stop) {
      const { client, id, value } = this.#kept[Math.floor(Math.random() * this.#kept.length)]!;
      const answer = await client.get(`/sensitive-data/${id}`);
      this.reads += 1;
      if (answer.status !== 200) this.#note(answer.status, answer.text);
      else if (answer.json.value !== value) this.faults.push(`${id} read as something else`);
      // The others need the processor.
      await sleep(10);
    }
  }

  async #writeOn(): Promise<void> {
    while (!this.#stop) {
      await this.#store(this.#kept[Math.floor(Math.random() * 3)]!.client);
      await sleep(100);
    }
  }

  #note(status: number, text: string): void {
    if (status === 503) this.refused += 1;
    else this.faults.push(`${status} ${text}`);
  }
}
