import { availableParallelism } from 'node:os';
import { argon2id, hash } from 'argon2';
import { DomainError, currentRequester } from '../kernel';
import { FairLine } from './fair-line';
import { equalBytes } from './hash';
import { randomSecret } from './random';

const LANES = 1;
const HASH_BYTES = 32;
const VERSION = 0x13;
/** The same for every hash of ours. */
export const ARGON2 = {
  raw: true,
  type: argon2id,
  version: VERSION,
  parallelism: LANES,
  hashLength: HASH_BYTES,
} as const;

/** What one guess costs: KiB of memory and passes over it. */
export interface PasswordCost {
  readonly memoryCost: number;
  readonly timeCost: number;
}

/** A hash of each of these verifies, whatever new ones cost. `low` is for tests; config refuses it in production. */
export const PASSWORD_COSTS = {
  standard: { memoryCost: 64 * 1024, timeCost: 3 },
  low: { memoryCost: 64, timeCost: 1 },
} as const satisfies Record<string, PasswordCost>;

const SALT_BYTES = 16;
const MAX_PASSWORD_BYTES = 1024;
/** How many may wait for each that runs: about 6 seconds of work, after which the caller had better come back. */
const QUEUE_PER_SLOT = 64;

export interface PasswordHasherOptions {
  /** Secret input of argon2id: a stolen store alone cannot be guessed at. */
  readonly pepper: string;
  /** Still accepted; its hashes are to be renewed. */
  readonly previousPepper?: string | undefined;
  /** Of new hashes. @default `PASSWORD_COSTS.standard` */
  readonly cost?: PasswordCost;
  /** Hashes at once, 64 MiB each. Each takes a thread of libuv's pool. @default all cores but one, two at most */
  readonly concurrency?: number;
  /** How many may wait before the next is refused. @default 64 for each that runs */
  readonly queue?: number;
}

/** Whose password it is. The id is bound as associated data, so a hash that was copied into another account does not verify there. */
export interface PasswordOwner {
  readonly userId: string;
  /** The user's 16 bytes. */
  readonly salt: Buffer;
}

export interface PasswordVerdict {
  readonly ok: boolean;
  /** The password is right but its hash was made with the former pepper or another cost: hash it anew. */
  readonly needsRehash: boolean;
}

/** What may be done in a turn: as much as belongs to one request. */
export interface HashingTurn {
  hash(password: string, owner: PasswordOwner): Promise<string>;
  verify(password: string, stored: string, owner: PasswordOwner): Promise<PasswordVerdict>;
  verifyNobody(password: string): Promise<PasswordVerdict>;
}

/** In the place of an account: new passwords of nobody who is signed in. */
const NEW_PASSWORDS = 'new';

/**
 * argon2id (RFC 9106; 64 MiB, 3 passes, 1 lane by default) off the event loop, a few at once (config/threads). Others wait in a fair line, by the address and the account that they are hashed for. Passwords are taken exactly as received (ASVS 6.2.8): no trimming, no
 * folding, no normalization. A DI token; one for the process, or the bound is none.
 */
export class PasswordHasher {
  readonly #pepper: Buffer;
  readonly #previousPepper: Buffer | undefined;
  readonly #cost: PasswordCost;
  readonly #slots: number;
  readonly #line: FairLine;
  #running = 0;
  readonly #nobody: PasswordOwner = { userId: '', salt: randomSecret(SALT_BYTES) };
  readonly #turn: HashingTurn = {
    hash: (password, owner) => this.#hash(password, owner),
    verify: (password, stored, owner) => this.#verify(password, stored, owner),
    verifyNobody: (password) => this.#verifyNobody(password),
  };

  constructor(options: PasswordHasherOptions) {
    this.#pepper = Buffer.from(options.pepper, 'utf8');
    this.#previousPepper =
      options.previousPepper === undefined ? undefined : Buffer.from(options.previousPepper, 'utf8');
    this.#cost = options.cost ?? PASSWORD_COSTS.standard;
    this.#slots = options.concurrency ?? Math.min(2, Math.max(1, availableParallelism() - 1));
    this.#line = new FairLine(options.queue ?? this.#slots * QUEUE_PER_SLOT);
  }

  /**
   * What goes into `hashed_password`: a PHC string without the pepper and without the id.
   * @throws DomainError `weak_password` (over 1,024 bytes), `overloaded` (too many are waiting).
   */
  async hash(password: string, owner: PasswordOwner): Promise<string> {
    if (passwordBytes(password) === undefined) throw new DomainError('weak_password');
    return this.inTurn(NEW_PASSWORDS, (turn) => turn.hash(password, owner));
  }

  /** @throws DomainError `overloaded` (too many are waiting). */
  verify(password: string, stored: string, owner: PasswordOwner): Promise<PasswordVerdict> {
    return this.inTurn(owner.userId, (turn) => turn.verify(password, stored, owner));
  }

  /** Costs what a failed `verify` costs, for names that do not exist: the answer's time tells nothing. Never ok. */
  verifyNobody(password: string): Promise<PasswordVerdict> {
    return this.inTurn('', (turn) => turn.verifyNobody(password));
  }

  /**
   * Waits for a free slot and runs `work` in it. Attempts are counted inside, so that they do not age in the queue. `account` says whose
   * turn it is where nobody is signed in. @throws DomainError `overloaded` (too many are waiting); what `work` throws.
   */
  async inTurn<T>(account: string, work: (turn: HashingTurn) => Promise<T>): Promise<T> {
    if (this.#running >= this.#slots) await this.#wait(account);
    else this.#running++;
    try {
      return await work(this.#turn);
    } finally {
      // The slot passes on without being given up, so nobody can slip in between.
      if (!this.#line.next()) this.#running--;
    }
  }

  /** How many wait for a free slot. */
  get waiting(): number {
    return this.#line.size;
  }

  #wait(named: string): Promise<void> {
    const requester = currentRequester();
    const account = requester?.account ?? named;
    return new Promise((resolve, reject) =>
      this.#line.join({
        // A backend speaks for many: each account of it has a share of its own.
        address: requester?.address ?? `account ${account}`,
        account,
        enter: resolve,
        leave: () => reject(overloaded()),
      }),
    );
  }

  async #hash(password: string, owner: PasswordOwner): Promise<string> {
    const bytes = passwordBytes(password);
    if (bytes === undefined) throw new DomainError('weak_password');
    const digest = await argon2(bytes, owner, this.#pepper, this.#cost);
    return `${prefixOf(this.#cost)}${unpadded(owner.salt)}$${unpadded(digest)}`;
  }

  async #verify(password: string, stored: string, owner: PasswordOwner): Promise<PasswordVerdict> {
    const sent = passwordBytes(password);
    const found = sent === undefined ? undefined : parseStored(stored, owner.salt);
    const cost = found?.cost ?? this.#cost;
    const isSo = async (pepper: Buffer): Promise<boolean> =>
      matches(await argon2(bytes, owner, pepper, cost), found?.digest);
    // A password that nobody could have set costs what any other costs, and matches nothing.
    const bytes = sent ?? Buffer.alloc(0);
    if (await isSo(this.#pepper)) return { ok: true, needsRehash: prefixOf(cost) !== prefixOf(this.#cost) };
    const ok = this.#previousPepper !== undefined && (await isSo(this.#previousPepper));
    return { ok, needsRehash: ok };
  }

  async #verifyNobody(password: string): Promise<PasswordVerdict> {
    await this.#verify(password, `${prefixOf(this.#cost)}$`, this.#nobody);
    return { ok: false, needsRehash: false };
  }
}

const overloaded = (): DomainError =>
  new DomainError('overloaded', { detail: 'Too many password checks are in progress.', retryAfterSeconds: 1 });

const prefixOf = ({ memoryCost, timeCost }: PasswordCost): string =>
  `$argon2id$v=${VERSION}$m=${memoryCost},t=${timeCost},p=${LANES}$`;

const argon2 = (password: Buffer, owner: PasswordOwner, pepper: Buffer, cost: PasswordCost): Promise<Buffer> =>
  hash(password, {
    ...ARGON2,
    ...cost,
    salt: owner.salt,
    secret: pepper,
    associatedData: Buffer.from(owner.userId, 'utf8'),
  });

/** UTF-8 of the password; undefined over the limit, and where UTF-8 has no form for it (then two passwords would share one). */
function passwordBytes(password: string): Buffer | undefined {
  if (/\p{Surrogate}/u.test(password)) return undefined;
  const bytes = Buffer.from(password, 'utf8');
  return bytes.length > MAX_PASSWORD_BYTES ? undefined : bytes;
}

interface StoredHash {
  readonly cost: PasswordCost;
  readonly digest: Buffer;
}

/** Undefined where it is not a hash that we make, for this salt. A cost out of a row alone is never paid: it could be any. */
function parseStored(stored: string, salt: Buffer): StoredHash | undefined {
  for (const cost of Object.values(PASSWORD_COSTS)) {
    const start = `${prefixOf(cost)}${unpadded(salt)}$`;
    if (stored.startsWith(start)) return { cost, digest: Buffer.from(stored.slice(start.length), 'base64') };
  }
  return undefined;
}

const matches = (digest: Buffer, expected: Buffer | undefined): boolean =>
  expected !== undefined && equalBytes(digest, expected);

/** Base64 as PHC strings have it. */
const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
