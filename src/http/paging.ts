import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../config/config';
import { aeadOpen, aeadSeal, encodeContext, hkdf } from '../crypto';
import { DomainError, isDomainError, SecretBytes, SystemSecrets } from '../kernel';
import { Position } from '../store/collection';
import { publicPathOf } from './public-path';

/**
 * Scope of a cursor. `query` names the route and each parameter that shapes the list, except
 * `limit` and `cursor`.
 */
export interface PageScope {
  /** The user who received the list. */
  readonly holderId: string;
  readonly query: string;
}

const PURPOSE = 'coffer/cursor/v1';
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/**
 * Cursors: store positions encrypted under a key of the user. A cursor reveals no key of the store
 * and cannot be forged or used by another user or query.
 */
@Injectable()
export class Paging {
  readonly #prefix: string;

  constructor(
    private readonly secrets: SystemSecrets,
    @Inject(CONFIG) config: Config,
  ) {
    this.#prefix = publicPathOf(config.http);
  }

  /**
   * Decrypts the position of a cursor; undefined without a cursor.
   * @throws DomainError `invalid_cursor`
   */
  position(cursor: string | undefined, scope: PageScope): Position | undefined {
    if (cursor === undefined) return undefined;
    if (!BASE64URL.test(cursor)) throw invalidCursor();
    try {
      return this.#withKey(scope, (key) => aeadOpen(key, Buffer.from(cursor, 'base64url'), aad(scope))).toString(
        'utf8',
      );
    } catch (error) {
      throw isDomainError(error, 'decryption_failed') ? invalidCursor() : error;
    }
  }

  cursor(position: Position, scope: PageScope): string {
    return this.#withKey(scope, (key) => aeadSeal(key, Buffer.from(position, 'utf8'), aad(scope))).toString(
      'base64url',
    );
  }

  /**
   * The Link header (RFC 8288) to the next page. `path` is the client's path, `params` its
   * parameters (undefined ones are omitted).
   */
  nextLink(path: string, params: Readonly<Record<string, string | number | undefined>>, cursor: string): string {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) if (value !== undefined) query.set(name, String(value));
    query.set('cursor', cursor);
    return `<${this.#prefix}${path}?${query.toString()}>; rel="next"`;
  }

  // One key for each user, so that no key approaches the 2^32 random nonces that AES-GCM allows.
  #withKey<T>(scope: PageScope, use: (key: SecretBytes) => T): T {
    const key = hkdf(this.secrets.oneTimeCodes, Buffer.from(scope.holderId, 'utf8'), PURPOSE);
    try {
      return use(key);
    } finally {
      key.destroy();
    }
  }
}

const aad = (scope: PageScope): Buffer => encodeContext([PURPOSE, scope.holderId, scope.query]);

const invalidCursor = (): DomainError =>
  new DomainError('invalid_cursor', {
    detail: 'The cursor does not belong to this list and user.',
    fields: [{ pointer: '/cursor', in: 'query', message: 'is not valid here' }],
  });
