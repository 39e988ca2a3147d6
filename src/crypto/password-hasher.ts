import { availableParallelism } from 'node:os';
import { argon2id, hash } from 'argon2';
import { DomainError } from '../kernel';
import { equalBytes } from './hash';
import { randomSecret } from './random';

const MEMORY_KIB = 64 * 1024;
const PASSES = 3;
const LANES = 1;
const HASH_BYTES = 32;
const VERSION = 0x13;
/** What one guess costs. */
export const PASSWORD_COST = {
  version: VERSION,
  memoryCost: MEMORY_KIB,
  timeCost: PASSES,
  parallelism: LANES,
  hashLength: HASH_BYTES,
} as const;
const SALT_BYTES = 16;
const MAX_PASSWORD_BYTES = 1024;
const PREFIX = `$argon2id$v=${VERSION}$m=${MEMORY_KIB},t=${PASSES},p=${LANES}$`;
/** How many may wait for each that runs: about 6 seconds of work, after which the caller had better come back. */
const QUEUE_PER_SLOT = 64;

export interface PasswordHasherOptions {
  /** Secret input of argon2id: a stolen store alone cannot be guessed at. */
  readonly pepper: string;
  /** Still accepted; its hashes are to be renewed. */
  readonly previousPepper?: string | undefined;
  /** Hashes at once, 64 MiB each. @default all cores but one */
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
  /** The password is right but its hash was made with the former pepper: hash it anew. */
  readonly needsRehash: boolean;
}

/**
 * argon2id (RFC 9106; 64 MiB, 3 passes, 1 lane) off the event loop, as many at once as there are cores but one. Passwords are taken
 * exactly as received (ASVS 6.2.8): no trimming, no folding, no normalization. A DI token; one for the process, or the bound is none.
 */
export class PasswordHasher {
  readonly #pepper: Buffer;
  readonly #previousPepper: Buffer | undefined;
  readonly #slots: number;
  readonly #queue: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #nobody: PasswordOwner = { userId: '', salt: randomSecret(SALT_BYTES) };

  constructor(options: PasswordHasherOptions) {
    this.#pepper = Buffer.from(options.pepper, 'utf8');
    this.#previousPepper =
      options.previousPepper === undefined ? undefined : Buffer.from(options.previousPepper, 'utf8');
    this.#slots = options.concurrency ?? Math.max(1, availableParallelism() - 1);
    this.#queue = options.queue ?? this.#slots * QUEUE_PER_SLOT;
  }

  /**
   * What goes into `hashed_password`: a PHC string without the pepper and without the id.
   * @throws DomainError `weak_password` (over 1,024 bytes), `rate_limited` (too many are waiting).
   */
  async hash(password: string, owner: PasswordOwner): Promise<string> {
    const bytes = passwordBytes(password);
    if (bytes === undefined) throw new DomainError('weak_password');
    const digest = await this.#bounded(() => argon2(bytes, owner, this.#pepper));
    return `${PREFIX}${unpadded(owner.salt)}$${unpadded(digest)}`;
  }

  /** @throws DomainError `rate_limited` (too many are waiting). */
  async verify(password: string, stored: string, owner: PasswordOwner): Promise<PasswordVerdict> {
    const sent = passwordBytes(password);
    const expected = sent === undefined ? undefined : parseStored(stored, owner.salt);
    // A password that nobody could have set costs what any other costs, and matches nothing.
    const bytes = sent ?? Buffer.alloc(0);
    return this.#bounded(async () => {
      if (matches(await argon2(bytes, owner, this.#pepper), expected)) return { ok: true, needsRehash: false };
      const ok =
        this.#previousPepper !== undefined && matches(await argon2(bytes, owner, this.#previousPepper), expected);
      return { ok, needsRehash: ok };
    });
  }

  /** Costs what a failed `verify` costs, for names that do not exist: the answer's time tells nothing. Never ok. */
  async verifyNobody(password: string): Promise<PasswordVerdict> {
    await this.verify(password, `${PREFIX}$`, this.#nobody);
    return { ok: false, needsRehash: false };
  }

  /** How many wait for a free slot. */
  get waiting(): number {
    return this.#waiting.length;
  }

  async #bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#slots) await this.#turn();
    else this.#running++;
    try {
      return await work();
    } finally {
      // The slot passes on without being given up, so nobody can slip in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= this.#queue) {
      throw new DomainError('rate_limited', { retryAfterSeconds: 1 });
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

const argon2 = (password: Buffer, owner: PasswordOwner, pepper: Buffer): Promise<Buffer> =>
  hash(password, {
    raw: true,
    type: argon2id,
    ...PASSWORD_COST,
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

/** The digest of a stored hash; undefined where it is not one that we make, for this salt. */
function parseStored(stored: string, salt: Buffer): Buffer | undefined {
  const start = `${PREFIX}${unpadded(salt)}$`;
  return stored.startsWith(start) ? Buffer.from(stored.slice(start.length), 'base64') : undefined;
}

const matches = (digest: Buffer, expected: Buffer | undefined): boolean =>
  expected !== undefined && equalBytes(digest, expected);

/** Base64 as PHC strings have it. */
const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
