import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signUp } from './accounts';
import { Client } from './client';
import { codeMailedTo, type ReceivedMail, readOutbox } from './mails';
import {
  type Bao,
  describeWithParts,
  isLong,
  type S3Server,
  type Secantus,
  startOpenBao,
  startS3,
  startSecantus,
} from './parts';
import { blobFiles } from './raw-http';
import { type Service, startService } from './service';

export type ProfileName = 'embedded+local' | 'mongoose+vault' | 'mongoose+kv' | 'embedded+s3';

/**
 * What a suite on a profile has. Filled before its first test: use it inside tests and hooks only.
 */
export interface ProfileContext {
  readonly profile: ProfileName;
  /** As nobody, to all processes in turn. */
  readonly client: Client;
  /** The server processes: one on the embedded store, two on the others. They share `dataDir`. */
  readonly services: readonly Service[];
  readonly dataDir: string;
  /** Absent on the embedded store. */
  readonly parts: { readonly bao: Bao; readonly secantus: Secantus } | undefined;
  /**
   * The first account of the installation, signed in; administrator by BOOTSTRAP_ADMIN=first-user.
   */
  readonly admin: Client;
  mails(): Promise<ReceivedMail[]>;
  /** Names of all that lies in the blob store, unfinished or not, sorted. */
  blobs(): Promise<string[]>;
  /** The code in the latest mail (or the `nth`, from 1) to an address, waited for. */
  codeFor(address: string, nth?: number): Promise<string>;
  /** What all processes wrote so far. */
  logs(): string;
}

export interface ProfileOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** False leaves the installation without accounts; `admin` then throws. */
  readonly admin?: boolean;
  /**
   * True runs the suite a third time, with master key and user keys as documents in Vault, as
   * docker-compose.yml has them.
   */
  readonly kv?: boolean;
  /** True runs the suite once more on the embedded store with blobs on S3. */
  readonly s3?: boolean;
  /**
   * Which of the further profiles are for the long form alone: those on which the suite proves the
   * same once more.
   */
  readonly longOn?: readonly ('mongoose' | 's3' | 'kv')[];
}

/**
 * Runs a suite on the embedded store with the local keyring, and again on MongoDB with Transit
 * behind two server processes.
 */
export function describeOnProfiles(
  name: string,
  suite: (context: ProfileContext) => void,
  options: ProfileOptions = {},
): void {
  describe(`${name} (embedded store, local keyring)`, () => runOn('embedded+local', suite, options));
  const runs = (on: 'mongoose' | 's3' | 'kv'): boolean => isLong() || options.longOn?.includes(on) !== true;
  if (runs('mongoose')) {
    describeWithParts(['secantus', 'openbao'], `${name} (MongoDB, Vault Transit, two processes)`, () =>
      runOn('mongoose+vault', suite, options),
    );
  }
  if (options.s3 === true && runs('s3')) {
    describeWithParts(['moto'], `${name} (embedded store, blobs on S3)`, () => runOn('embedded+s3', suite, options));
  }
  if (options.kv !== true || !runs('kv')) return;
  describeWithParts(['secantus', 'openbao'], `${name} (MongoDB, keys in Vault KV, two processes)`, () =>
    runOn('mongoose+kv', suite, options),
  );
}

function runOn(profile: ProfileName, suite: (context: ProfileContext) => void, options: ProfileOptions): void {
  const context = new Profile(profile);
  beforeAll(() => context.start(options), 90_000);
  afterAll(() => context.stop(), 60_000);
  suite(context);
}

class Profile implements ProfileContext {
  #dataDir: string | undefined;
  #services: Service[] = [];
  #parts: ProfileContext['parts'];
  #s3: S3Server | undefined;
  #client: Client | undefined;
  #admin: Client | undefined;

  constructor(readonly profile: ProfileName) {}

  get client(): Client {
    return started(this.#client);
  }

  get services(): readonly Service[] {
    return this.#services;
  }

  get dataDir(): string {
    return started(this.#dataDir);
  }

  get parts(): ProfileContext['parts'] {
    return this.#parts;
  }

  get admin(): Client {
    return started(this.#admin);
  }

  mails(): Promise<ReceivedMail[]> {
    return readOutbox(this.dataDir);
  }

  async blobs(): Promise<string[]> {
    if (this.#s3 === undefined) return blobFiles(this.dataDir);
    return [...(await this.#s3.objects()), ...(await this.#s3.unfinished())].sort();
  }

  codeFor(address: string, nth?: number): Promise<string> {
    return codeMailedTo(this.dataDir, address, nth);
  }

  logs(): string {
    return this.#services.map((service) => service.logs()).join('\n');
  }

  async start(options: ProfileOptions): Promise<void> {
    this.#dataDir = await mkdtemp(join(tmpdir(), 'coffer-profile-'));
    const env = { ...(await this.#environment()), ...options.env };
    const processes = this.profile.startsWith('embedded') ? 1 : 2;
    for (let started = 0; started < processes; started += 1) {
      this.#services.push(await startService({ env, dataDir: this.#dataDir }));
    }
    this.#client = new Client(this.#services.map((service) => service.url));
    if (options.admin !== false) this.#admin = (await signUp(this.#client)).client;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.dispose()));
    await Promise.all([this.#parts?.bao.stop(), this.#parts?.secantus.stop(), this.#s3?.stop()]);
    if (this.#dataDir !== undefined) await rm(this.#dataDir, { recursive: true, force: true });
  }

  async #environment(): Promise<Record<string, string>> {
    if (this.profile === 'embedded+local') return {};
    if (this.profile === 'embedded+s3') {
      this.#s3 = await startS3();
      return this.#s3.env();
    }
    const [bao, secantus] = await Promise.all([startOpenBao(), startSecantus()]);
    this.#parts = { bao, secantus };
    const env = vaultAndMongo(bao, secantus);
    return this.profile === 'mongoose+kv' ? { ...env, MASTER_KEY: 'kv', USER_KEY_STORE: 'vault' } : env;
  }
}

/** The variables of a service on these parts. */
export function vaultAndMongo(bao: Bao, secantus: Secantus, dbName = 'coffer_test'): Record<string, string> {
  return {
    MONGODB_URL: secantus.url,
    DB_NAME: dbName,
    MASTER_KEY: 'transit',
    VAULT_ADDR: bao.address,
    VAULT_ROLE_ID: bao.roleId,
    VAULT_SECRET_ID: bao.secretId,
  };
}

function started<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the profile has not been started: use its context inside tests only');
  return value;
}
