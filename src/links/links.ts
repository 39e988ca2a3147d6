import { Injectable } from '@nestjs/common';
import { PasswordHasher, equalBytes, randomSecret, sha256 } from '../crypto';
import { BeginAct, Clock, DomainError, HOUR, UserDataHandler, newId } from '../kernel';
import { Collection, Draft, Page, Position, Store, removeEvery } from '../store';
import { LinkDoc, LinkKind, linkCollection } from './link.collection';

const SECRET_BYTES = 32;
const ID = '[0-9a-f-]{36}';
const SECRET = '[A-Za-z0-9_-]{43}';

/** The prefix of a token: links and tickets, for downloads and for uploads. */
export type SecretPrefix = 'd' | 'u' | 'dt' | 'ut';

export interface PresentedSecret {
  readonly id: string;
  readonly secret: string;
}

export interface NewSecret {
  /** What the holder gets, once. */
  readonly token: string;
  readonly secretHash: string;
}

/**
 * A new 256-bit secret of the row `id`. It cannot be guessed, so the row keeps a plain hash of it.
 */
export function newSecret(prefix: SecretPrefix, id: string): NewSecret {
  const secret = randomSecret(SECRET_BYTES).toString('base64url');
  return { token: `${prefix}.${id}.${secret}`, secretHash: hashOf(secret) };
}

/** Undefined for a token of another form. */
export function presentedSecret(prefix: SecretPrefix, token: string): PresentedSecret | undefined {
  const [, id, secret] = new RegExp(`^${prefix}\\.(${ID})\\.(${SECRET})$`).exec(token) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** Compares in constant time. */
export const secretMatches = (secret: string, secretHash: string): boolean =>
  equalBytes(Buffer.from(hashOf(secret), 'utf8'), Buffer.from(secretHash, 'utf8'));

const hashOf = (secret: string): string => sha256(secret).toString('hex');

/** The properties of a new link. */
export interface NewLink {
  readonly kind: LinkKind;
  readonly ownerId: string;
  readonly resource?: string | undefined;
  readonly expiresInMs?: number | undefined;
  readonly maxUses?: number | undefined;
  readonly maxSize?: number | undefined;
  readonly password?: string | undefined;
}

/** The links of one resource, or an owner's upload links. */
export type LinkList = { readonly resource: string } | { readonly uploadLinksOf: string };

const SALT_BYTES = 16;
const BATCH = 100;

/** Creates, lists and removes links. LinkRedemption redeems them. */
@Injectable()
export class Links {
  readonly #rows: Collection<LinkDoc>;

  constructor(
    store: Store,
    private readonly hasher: PasswordHasher,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(linkCollection);
  }

  /**
   * Returns the token once: no row has it. Calls `begin` before it inserts the row.
   * @throws DomainError `overloaded`, `weak_password`.
   */
  async create(wanted: NewLink, begin: BeginAct): Promise<{ readonly row: LinkDoc; readonly token: string }> {
    const id = newId();
    const { token, secretHash } = newSecret(wanted.kind === 'download' ? 'd' : 'u', id);
    const password = wanted.password === undefined ? {} : await this.#hashed(id, wanted.password);
    await begin();
    const row = await this.#rows.insert({ ...this.#draft(id, wanted), secret_hash: secretHash, ...password });
    return { row, token };
  }

  /** Oldest first; includes expired and used up links until they are swept. */
  list(which: LinkList, limit: number, after: Position | undefined): Promise<Page<LinkDoc>> {
    const options = { limit, onTampered: () => undefined, ...(after !== undefined && { after }) };
    return 'resource' in which
      ? this.#rows.list('resource', [which.resource], options)
      : this.#rows.list('owner', [which.uploadLinksOf, 'upload'], options);
  }

  find(linkId: string): Promise<LinkDoc | undefined> {
    return this.#rows.find('_id', linkId);
  }

  /**
   * Removes a link, which invalidates its tickets.
   * @throws DomainError `not_found` where `applies` is false.
   */
  async remove(linkId: string, applies: (row: LinkDoc) => boolean, begin: BeginAct): Promise<void> {
    const row = await this.find(linkId);
    if (row === undefined || !applies(row)) throw new DomainError('not_found', { detail: 'There is no such link.' });
    await begin();
    await this.#rows.remove(linkId);
  }

  /** Removes each link to a removed resource. Safe to repeat. */
  forget(resource: string): Promise<number> {
    return removeEvery(this.#rows, 'resource', [resource]);
  }

  eraseOwner(ownerId: string): Promise<number> {
    return removeEvery(this.#rows, 'owner', [ownerId]);
  }

  /** Expired links stay a day, so that their owner sees what became of them. */
  async sweep(): Promise<void> {
    for (;;) {
      const page = await this.#rows.list('expiry', [], { limit: BATCH, onTampered: () => undefined });
      const due = page.items.filter(({ expires_at = Infinity }) => expires_at < this.clock.now() - 24 * HOUR);
      for (const row of due) await this.#rows.remove(row._id);
      if (due.length < BATCH) return;
    }
  }

  #draft(id: string, wanted: NewLink): Omit<Draft<LinkDoc>, 'secret_hash'> {
    const now = this.clock.now();
    const { expiresInMs, resource, maxUses, maxSize } = wanted;
    return {
      _id: id,
      kind: wanted.kind,
      owner_id: wanted.ownerId,
      created_at: now,
      uses: 0,
      failed_attempts: 0,
      attempts_in_flight: [],
      ...(resource !== undefined && { resource }),
      ...(expiresInMs !== undefined && { expires_at: now + expiresInMs }),
      ...(maxUses !== undefined && { max_uses: maxUses }),
      ...(maxSize !== undefined && { max_size: maxSize }),
    };
  }

  /** Hashed as passwords of accounts: with the pepper and a salt, and bound to this link. */
  async #hashed(linkId: string, password: string): Promise<Pick<LinkDoc, 'hashed_password' | 'salt'>> {
    const salt = randomSecret(SALT_BYTES);
    const hashed_password = await this.hasher.hash(password, { userId: linkId, salt });
    return { hashed_password, salt: salt.toString('hex') };
  }
}

/** Links when their owner's account is erased. They hold nothing that is encrypted. */
@Injectable()
export class LinksUserData implements UserDataHandler {
  readonly name = 'links';
  readonly collections = [];

  constructor(private readonly links: Links) {}

  reencrypt(): Promise<number> {
    return Promise.resolve(0);
  }

  countByKeyVersion(_userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return Promise.resolve(versions.map(() => 0));
  }

  eraseUser(userId: string): Promise<number> {
    return this.links.eraseOwner(userId);
  }
}
