import { Injectable } from '@nestjs/common';
import { encodeContext, hkdf, hmacSha256 } from '../crypto';
import { Clock, DAY, DomainError, MINUTE, SystemSecrets } from '../kernel';
import { Collection, DuplicateKey, Store } from '../store/collection';
import { ResponseSealer } from './response-sealer';
import { IdempotencyKeyDoc, idempotencyKeyCollection } from './idempotency-keys.collection';

export interface KeyedRequest {
  readonly ownerId: string;
  /** Value of the Idempotency-Key header, without its quotes. */
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

export interface KeptResponse {
  readonly status: number;
  /** `location` and `etag`, if the first response had them. */
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON text. */
  readonly body: string;
}

/** Either run the request and then `keep` or `release` the claim, or replay a response. */
export type Claim =
  | { readonly kind: 'run'; readonly row: IdempotencyKeyDoc }
  | { readonly kind: 'replay'; readonly answer: KeptResponse };

const KEPT = DAY;
const CLAIM = MINUTE;
const PURPOSE = 'coffer/idempotency/v1';

/**
 * Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07). The first insert of a key runs
 * its request; later requests wait or get its response.
 * If a process dies between the action and `keep`, its claim expires after a minute and a retry
 * runs again: exactly once while processes live, at least once if one dies.
 */
@Injectable()
export class Idempotency {
  readonly #rows: Collection<IdempotencyKeyDoc>;

  constructor(
    store: Store,
    private readonly secrets: SystemSecrets,
    private readonly sealer: ResponseSealer,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(idempotencyKeyCollection);
  }

  /**
   * @throws DomainError `idempotency_running`, `idempotency_mismatch`, `conflict` (the response
   * held a secret)
   */
  async claim(request: KeyedRequest): Promise<Claim> {
    const fresh = this.#freshRow(request);
    try {
      return { kind: 'run', row: await this.#rows.insert(fresh) };
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
    }
    const row = await this.#rows.find('_id', fresh._id);
    if (row === undefined) throw running();
    return this.#meet(row, fresh);
  }

  /**
   * Stores the response for replays. `undefined`: the action is done and its response held a secret
   * that is shown once.
   */
  async keep(row: IdempotencyKeyDoc, answer: KeptResponse | undefined): Promise<void> {
    for (let claim: IdempotencyKeyDoc | undefined = row; claim !== undefined; claim = await this.#sameClaim(row)) {
      const sealed: string | undefined =
        answer && (await this.sealer.seal(row.user_id, row._id, JSON.stringify(answer)));
      const done = { ...claim, state: 'done' as const, ...(sealed !== undefined && { answer: sealed }) };
      if ((await this.#rows.replace(done)) !== undefined) return;
    }
  }

  /**
   * Releases the key after an error: nothing was done, and the client may retry with the same key.
   */
  async release(row: IdempotencyKeyDoc): Promise<void> {
    const claim = await this.#sameClaim(row);
    if (claim !== undefined) await this.#rows.remove(claim._id, claim.rev);
  }

  /**
   * The row of this claim at its current revision (a rotation of the user's key rewrites it);
   * undefined if the claim has expired.
   */
  async #sameClaim(row: IdempotencyKeyDoc): Promise<IdempotencyKeyDoc | undefined> {
    const now = await this.#rows.find('_id', row._id);
    return now?.state === 'running' && now.claimed_until === row.claimed_until ? now : undefined;
  }

  async #meet(row: IdempotencyKeyDoc, fresh: Omit<IdempotencyKeyDoc, 'rev'>): Promise<Claim> {
    const now = this.clock.now();
    if (row.expires_at <= now) return this.#takeOver(row, fresh);
    if (row.fingerprint !== fresh.fingerprint) {
      throw new DomainError('idempotency_mismatch', {
        detail: 'This Idempotency-Key was sent with another request before.',
      });
    }
    if (row.state === 'done') return { kind: 'replay', answer: await this.#answerOf(row) };
    if (row.claimed_until > now) throw running();
    return this.#takeOver(row, fresh);
  }

  async #takeOver(row: IdempotencyKeyDoc, fresh: Omit<IdempotencyKeyDoc, 'rev'>): Promise<Claim> {
    const taken = await this.#rows.replace({ ...fresh, rev: row.rev });
    if (taken === undefined) throw running();
    return { kind: 'run', row: taken };
  }

  async #answerOf({ user_id, _id, answer }: IdempotencyKeyDoc): Promise<KeptResponse> {
    if (answer === undefined) {
      const detail = 'The request was done. Its answer held a secret that is shown once and is not given again.';
      throw new DomainError('conflict', { detail });
    }
    return JSON.parse(await this.sealer.open(user_id, _id, answer)) as KeptResponse;
  }

  #freshRow(request: KeyedRequest): Omit<IdempotencyKeyDoc, 'rev'> {
    const now = this.clock.now();
    const [_id, fingerprint] = this.#names(request);
    const { ownerId } = request;
    return { _id, user_id: ownerId, fingerprint, state: 'running', claimed_until: now + CLAIM, expires_at: now + KEPT };
  }

  #names({ ownerId, key, method, path, body }: KeyedRequest): [id: string, fingerprint: string] {
    const secret = hkdf(this.secrets.oneTimeCodes, Buffer.from(ownerId, 'utf8'), PURPOSE);
    const mac = (...parts: string[]): string => hmacSha256(secret, encodeContext(parts)).toString('hex');
    try {
      return [mac('key', key), mac('request', method, path, canonicalJson(body))];
    } finally {
      secret.destroy();
    }
  }
}

/** The first request usually ends within a second, although its claim lasts longer. */
const running = (): DomainError => new DomainError('idempotency_running', { retryAfterSeconds: 1 });

/**
 * JSON with sorted keys: two serializations of one request are equal. Concatenation is several
 * times faster than arrays and a replacer for bodies of many small values.
 */
function canonicalJson(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  let text = '';
  if (Array.isArray(value)) {
    for (const element of value) text += `${text === '' ? '' : ','}${canonicalJson(element)}`;
    return `[${text}]`;
  }
  const members = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(members).sort()) {
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(members[name])}`;
  }
  return `{${text}}`;
}
