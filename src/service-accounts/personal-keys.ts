import { Injectable } from '@nestjs/common';
import { audited, AuditSink, DomainError, Person } from '../kernel';
import { Users } from '../users';
import { ApiKeyDoc } from './api-key.collection';
import { ApiKeys, NewApiKey } from './api-keys';

export interface NewPersonalKey {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly lifeMs: number | undefined;
}

/** What a person does about the keys of the own account. */
@Injectable()
export class PersonalKeys {
  constructor(
    private readonly keys: ApiKeys,
    private readonly users: Users,
    private readonly audit: AuditSink,
  ) {}

  /**
   * The account is read once more behind the key's row: an erase marks it first and then removes
   * its keys.
   * @throws DomainError `conflict`
   */
  create(caller: Person, asked: NewPersonalKey): Promise<NewApiKey> {
    return audited(this.audit, { action: 'api-key.create', ...by(caller) }, async () => {
      const made = await this.keys.create({
        owner_id: caller.ownerId,
        kind: 'person',
        allowed_addresses: [],
        ...asked,
      });
      if ((await this.users.byId(caller.ownerId))?.state === 'active') return made;
      await this.keys.remove(caller.ownerId, made.row._id);
      throw new DomainError('invalid_session', { detail: 'The account is closed.' });
    });
  }

  list(caller: Person): Promise<readonly ApiKeyDoc[]> {
    return this.keys.of(caller.ownerId);
  }

  /** @throws DomainError `not_found` */
  async remove(caller: Person, keyId: string): Promise<void> {
    await audited(this.audit, { action: 'api-key.remove', ...by(caller), details: { key: keyId } }, async () => {
      if (!(await this.keys.remove(caller.ownerId, keyId))) throw new DomainError('not_found');
    });
  }
}

const by = (caller: Person) => ({ actor: caller.actor, resource: `user/${caller.ownerId}` }) as const;
