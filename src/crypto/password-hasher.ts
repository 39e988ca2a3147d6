import { availableParallelism } from 'node:os';
import { argon2id, hash } from 'argon2';
import { DomainError, currentRequester } from '../kernel';
import { FairLine } from './fair-line';
import { equalBytes } from './hash';
import { randomSecret } from './random';

const LANES = 1;
const HASH_BYTES = 32;
const VERSION = 0x13;
/** Parameters of every hash. */
export const ARGON2 = {
  raw: true,
  type: argon2id,
  version: VERSION,
  parallelism: LANES,
  hashLength: HASH_BYTES,
} as const;

/** Cost of one guess: KiB of memory and passes over it. */
export interface PasswordCost {
  readonly memoryCost: number;
  readonly timeCost: number;
}

/**
 * Stored hashes of each of these costs verify, whatever new hashes use. `low` is for tests; config
 * rejects it in production.
 */
export const PASSWORD_COSTS = {
  standard: { memoryCost: 64 * 1024, timeCost: 3 },
  low: { memoryCost: 64, timeCost: 1 },
} as const satisfies Record<string, PasswordCost>;

const SALT_BYTES = 16;
const MAX_PASSWORD_BYTES = 1024;
/**
 * Waiting hashes for each running one: about 6 seconds of work. Beyond that, the client should
 * retry later.
 */
const QUEUE_PER_SLOT = 64;

export interface PasswordHasherOptions {
  /** Secret input of argon2id: a stolen store alone does not allow guessing. */
  readonly pepper: string;
  /** Still accepted; a hash with this pepper needs a rehash. */
  readonly previousPepper?: string | undefined;
  /** Cost of new hashes. @default `PASSWORD_COSTS.standard` */
  readonly cost?: PasswordCost;
  /**
   * Concurrent hashes, 64 MiB each. Each occupies a thread of libuv's pool. @default all cores but
   * one, two at most
   */
  readonly concurrency?: number;
  /** Length of the queue. @default 64 for each concurrent hash */
  readonly queue?: number;
}

/**
 * The owner of a password. The user id is associated data, so a hash copied into another account
 * does not verify.
 */
export interface PasswordOwner {
  readonly userId: string;
  /** The user's salt, 16 bytes. */
  readonly salt: Buffer;
}

export interface PasswordVerdict {
  readonly ok: boolean;
  /** The password is correct, but its hash uses the previous pepper or another cost. */
  readonly needsRehash: boolean;
}

/** Operations within one slot: as many as belong to one request. */
export interface HashingTurn {
  hash(password: string, owner: PasswordOwner): Promise<string>;
  verify(password: string, stored: string, owner: PasswordOwner): Promise<PasswordVerdict>;
  verifyNobody(password: string): Promise<PasswordVerdict>;
}

/** Queue account of new passwords without a signed-in user. */
const NEW_PASSWORDS = 'new';

/**
 * argon2id (RFC 9106; 64 MiB, 3 passes, 1 lane by default) off the event loop, with bounded
 * concurrency (config/threads) and a fair queue by address and account.
 * Passwords are used exactly as received (ASVS 6.2.8): no trimming, folding or normalization. A DI
 * token; the bound holds only with one instance for the process.
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
   * Returns the value of `hashed_password`: a PHC string without the pepper and the id.
   * @throws DomainError `weak_password` (over 1,024 bytes, or with a lone surrogate), `overloaded`
   * (queue full)
   */
  async hash(password: string, owner: PasswordOwner): Promise<string> {
    if (passwordBytes(password) === undefined) throw new DomainError('weak_password');
    return this.inTurn(NEW_PASSWORDS, (turn) => turn.hash(password, owner));
  }

  /** @throws DomainError `overloaded` (queue full) */
  verify(password: string, stored: string, owner: PasswordOwner): Promise<PasswordVerdict> {
    return this.inTurn(owner.userId, (turn) => turn.verify(password, stored, owner));
  }

  /**
   * Costs as much as a failed `verify`, for unknown names, so that response times reveal nothing.
   * Never ok.
   */
  verifyNobody(password: string): Promise<PasswordVerdict> {
    return this.inTurn('', (turn) => turn.verifyNobody(password));
  }

  /**
   * Waits for a free slot and runs `work` in it. Attempts are counted inside, so that they do not
   * age in the queue. `account` is the queue account if nobody is signed in.
   * @throws DomainError `overloaded` (queue full); errors of `work`
   */
  async inTurn<T>(account: string, work: (turn: HashingTurn) => Promise<T>): Promise<T> {
    if (this.#running >= this.#slots) await this.#wait(account);
    else this.#running++;
    try {
      return await work(this.#turn);
    } finally {
      // The slot passes to the next waiter without being freed, so that no newcomer can overtake.
      if (!this.#line.next()) this.#running--;
    }
  }

  /** Number of callers that wait for a slot. */
  get waiting(): number {
    return this.#line.size;
  }

  #wait(named: string): Promise<void> {
    const requester = currentRequester();
    const account = requester?.account ?? named;
    return new Promise((resolve, reject) =>
      this.#line.join({
        // An exempt backend has no address here: each of its accounts gets a separate share.
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
    // A password that could never have been set costs as much as any other, and matches nothing.
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

/**
 * UTF-8 of the password; undefined over the limit, or with lone surrogates, which UTF-8 would map
 * to one replacement.
 */
function passwordBytes(password: string): Buffer | undefined {
  if (/\p{Surrogate}/u.test(password)) return undefined;
  const bytes = Buffer.from(password, 'utf8');
  return bytes.length > MAX_PASSWORD_BYTES ? undefined : bytes;
}

interface StoredHash {
  readonly cost: PasswordCost;
  readonly digest: Buffer;
}

/**
 * Parses a hash of a known cost with this salt, else returns undefined. A cost from a row is never
 * used unchecked: it could be any.
 */
function parseStored(stored: string, salt: Buffer): StoredHash | undefined {
  for (const cost of Object.values(PASSWORD_COSTS)) {
    const start = `${prefixOf(cost)}${unpadded(salt)}$`;
    if (stored.startsWith(start)) return { cost, digest: Buffer.from(stored.slice(start.length), 'base64') };
  }
  return undefined;
}

const matches = (digest: Buffer, expected: Buffer | undefined): boolean =>
  expected !== undefined && equalBytes(digest, expected);

/** Base64 without padding, as in PHC strings. */
const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
