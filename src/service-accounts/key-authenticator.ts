import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../config';
import { looksLikeApiKey } from '../crypto';
import {
  Authenticator,
  Clock,
  DomainError,
  GrantedScope,
  parseScope,
  PersonalKey,
  Presented,
  Principal,
  routeScopes,
  ServiceAccount,
  SessionAuthenticator,
  Subject,
} from '../kernel';
import { SubjectDoc, Users } from '../users';
import { ApiKeyDoc } from './api-key.collection';
import { ApiKeys } from './api-keys';
import { invalidHeader, subjectOf } from './external-id';
import { Subjects } from './subjects';

/**
 * What a credential of a service account gives: the key's row, and what of it the credential may
 * use.
 */
export interface Credential {
  readonly key: ApiKeyDoc;
  readonly granted: readonly GrantedScope[];
  readonly authTime: number;
}

/** Who calls with an API key, and for whom. All other bearer tokens are those of sessions. */
@Injectable()
export class KeyAuthenticator extends Authenticator {
  constructor(
    private readonly sessions: SessionAuthenticator,
    private readonly keys: ApiKeys,
    private readonly subjects: Subjects,
    private readonly users: Users,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    super();
  }

  async authenticate(bearerToken: string, presented: Presented): Promise<Principal> {
    if (looksLikeApiKey(bearerToken)) return this.#byKey(bearerToken, presented);
    const person = await this.sessions.authenticate(bearerToken);
    refuseSubject(presented);
    return person;
  }

  async #byKey(text: string, presented: Presented): Promise<Principal> {
    if (!this.config.accounts.apiKeysAsBearer) {
      throw new DomainError('unauthenticated', { detail: 'API keys are not taken as bearer tokens here.' });
    }
    const key = await this.keys.verify(text, presented.address);
    const credential = { key, granted: grantedBy(key), authTime: this.clock.now() };
    if (key.kind === 'person') return this.#personal(credential, presented);
    const externalId = subjectOf(presented.subjects);
    return externalId === undefined ? this.#own(credential) : this.#subject(credential, externalId);
  }

  async #personal({ key, granted }: Credential, presented: Presented): Promise<PersonalKey> {
    const user = await this.users.byId(key.owner_id);
    if (user?.state === 'disabled') throw new DomainError('account_disabled');
    if (user?.state !== 'active') throw new DomainError('unauthenticated');
    refuseSubject(presented);
    return { kind: 'personal-key', actor: key.owner_id, ...this.#held(key, key.owner_id, granted) };
  }

  #own({ key, granted, authTime }: Credential): ServiceAccount {
    return { kind: 'service-account', actor: key.owner_id, authTime, ...this.#held(key, key.owner_id, granted) };
  }

  async #subject(credential: Credential, externalId: string): Promise<Subject> {
    const { key } = credential;
    const found = await this.subjects.find(key.owner_id, externalId);
    if (found !== undefined) return this.#present(credential, found);
    // No row has this id, so nothing is found. It is the same at each request, as limits are
    // counted by it.
    const ownerId = `absent-${this.subjects.indexOf(key.owner_id, externalId).slice(0, 32)}`;
    const establish = async (): Promise<Subject> => {
      if (!credential.granted.some(({ scope }) => scope === 'subjects:create')) {
        throw new DomainError('insufficient_scope', {
          detail: 'The subject does not exist, and the scope subjects:create is missing.',
        });
      }
      return this.#present(credential, await this.subjects.establish(key.owner_id, externalId));
    };
    return { ...this.#as(credential, ownerId), establish };
  }

  #present(credential: Credential, { _id }: SubjectDoc): Subject {
    return this.#as(credential, _id);
  }

  #as({ key, granted, authTime }: Credential, ownerId: string): Subject {
    const act = key.owner_id;
    return { kind: 'subject', actor: ownerId, act, authTime, ...this.#held(key, ownerId, granted) };
  }

  #held(key: ApiKeyDoc, ownerId: string, granted: readonly GrantedScope[]) {
    const requireStillAdmitted = (): Promise<void> => this.keys.requireHeld(key._id);
    return { ownerId, granted, scopes: routeScopes(granted), requireStillAdmitted };
  }
}

/** A scope of a later release, which this one does not know, gives nothing. */
export const grantedBy = ({ scopes }: Pick<ApiKeyDoc, 'scopes'>): readonly GrantedScope[] =>
  scopes.flatMap((text) => parseScope(text) ?? []);

/** @throws DomainError `validation_failed` */
function refuseSubject({ subjects }: Presented): void {
  if (subjects.length > 0) throw invalidHeader('is for keys of service accounts only');
}
