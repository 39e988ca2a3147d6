import { Injectable } from '@nestjs/common';
import { Clock, DomainError, FieldFault, Turns } from '../../kernel';
import { Collection, Store, scanRows } from '../../store';
import { UserDoc, Users, parseUsername, isRegistered, requireEmail } from '../../users';
import { Groups } from '../groups/groups';
import { GrantDoc, boundTo, grantCollection, isLive } from './grant.collection';

/** Pending grants that one list binds: each is a write. The next list binds the next ones. */
const MOST_BOUND = 500;

/** Whom a grant is for: exactly one of the three. */
export interface GranteeChoice {
  readonly username?: string | undefined;
  readonly email?: string | undefined;
  /** Id or name of a group of the owner. */
  readonly group?: string | undefined;
}

/** The fields of a grant that say whom it is for. */
export type GranteeFields = Pick<
  GrantDoc,
  'asked_kind' | 'asked_for' | 'email' | 'grantee_kind' | 'grantee_id' | 'pending_email'
>;

/** From what an owner says to the account or group that a grant admits. */
@Injectable()
export class Grantees {
  readonly #grants: Collection<GrantDoc>;

  constructor(
    store: Store,
    private readonly users: Users,
    private readonly groups: Groups,
    private readonly clock: Clock,
  ) {
    this.#grants = store.collection(grantCollection);
  }

  /**
   * @throws DomainError `validation_failed`, `not_found` (no such account or group), `conflict`
   * (the owner themselves).
   */
  async resolve(ownerId: string, choice: GranteeChoice): Promise<GranteeFields> {
    const { username, email, group } = choice;
    const given = [username, email, group].filter((value) => value !== undefined);
    if (given.length !== 1)
      throw invalid({ pointer: '', message: 'must have exactly one of username, email and group' });
    if (username !== undefined) return this.#byUsername(ownerId, username);
    if (email !== undefined) return this.#byEmail(ownerId, email);
    return this.#byGroup(ownerId, given[0] ?? '');
  }

  /**
   * Gives pending grants for the address that this account has verified to the account, so many at
   * a time. Safe to repeat and to race.
   */
  async bindAll(userId: string): Promise<void> {
    const address = (await this.users.byId(userId))?.verified_email;
    if (address === undefined) return;
    const turns = new Turns();
    let left = MOST_BOUND;
    for await (const grant of scanRows(this.#grants, 'pending', [address])) {
      await this.bind(grant);
      await turns.pause();
      if ((left -= 1) === 0) return;
    }
  }

  /**
   * The grant, bound to the account that has verified its address if there is one by now: one
   * conditional write.
   */
  async bind(grant: GrantDoc): Promise<GrantDoc> {
    if (grant.pending_email === undefined || !isLive(grant, this.clock.now())) return grant;
    const user = await this.users.byVerifiedEmail(grant.pending_email);
    if (!isRegistered(user)) return grant;
    return (await this.#grants.replace(boundTo(grant, user._id))) ?? grant;
  }

  async #byUsername(ownerId: string, name: string): Promise<GranteeFields> {
    const username = parseUsername(name);
    const user = username && (await this.users.byUsername(username));
    if (!isRegistered(user)) throw new DomainError('not_found', { detail: 'There is no account of this name.' });
    if (user._id === ownerId) throw ownself();
    return { asked_kind: 'username', asked_for: user._id, ...admitting(user) };
  }

  async #byEmail(ownerId: string, text: string): Promise<GranteeFields> {
    const email = requireEmail(text);
    const user = await this.users.byVerifiedEmail(email.folded);
    if (user?._id === ownerId) throw ownself();
    const asked = { asked_kind: 'email', asked_for: email.folded, email: email.address } as const;
    return isRegistered(user) ? { ...asked, ...admitting(user) } : { ...asked, pending_email: email.folded };
  }

  async #byGroup(ownerId: string, idOrName: string): Promise<GranteeFields> {
    const { _id } = await this.groups.named(ownerId, idOrName);
    return { asked_kind: 'group', asked_for: _id, grantee_kind: 'group', grantee_id: _id };
  }
}

const admitting = (user: UserDoc) => ({ grantee_kind: 'user', grantee_id: user._id }) as const;

const invalid = (fault: FieldFault): DomainError => new DomainError('validation_failed', { fields: [fault] });

const ownself = (): DomainError => new DomainError('conflict', { detail: 'A grant to yourself has no effect.' });
