import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { Clock, DomainError, failpoint, Role, SECOND } from '../../kernel';
import { REGISTRATION_LIFE, UserKeyService } from '../../keys/user-keys';
import { claimFirstAdministrator, giveBackFirstAdministrator } from '../../installation';
import { DuplicateKey, Store } from '../../store';
import { UNTRIED, UserDoc, Users } from '../../users';
import { HashedPassword } from '../passwords';

export interface NewAccount extends HashedPassword {
  /**
   * Chosen by the caller, so that a repeated confirmation of one registration creates one account.
   */
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly verifiedEmail?: string;
}

/** A pending account younger than this has a running registration. */
const ABANDONED_AFTER_MS = 10 * SECOND;

/**
 * Creates an account in idempotent steps: (1) the row, `pending`, which takes the name; (2) the
 * user key; (3) the claim to be the first administrator; (4) the row, `active`.
 * The owner's next login or registration completes a pending row of a dead process. Nobody logs in
 * without a key, no name is lost, and no claim is orphaned.
 */
@Injectable()
export class AccountCreation {
  constructor(
    private readonly users: Users,
    private readonly userKeys: UserKeyService,
    private readonly store: Store,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * With `onlyFirst`, the account becomes the first administrator or is not created.
   * @throws DuplicateKey with index `username`, `verified_email` or `_id`; `kms_unavailable`,
   * `permission_denied`, both of which free the name again
   */
  async create(account: NewAccount, onlyFirst = false): Promise<UserDoc> {
    const user = await this.users.insert(this.#draft(account));
    failpoint('registration.row-stored');
    try {
      await this.userKeys.create(user._id, user.username);
    } catch (error) {
      await this.#withdraw(user);
      throw error;
    }
    failpoint('registration.key-stored');
    return this.#activate(user, onlyFirst);
  }

  /**
   * Completes the registration of a dead process. Returns false if the registration is complete or
   * still running.
   */
  async resume(user: UserDoc): Promise<boolean> {
    const abandoned = Math.abs(this.clock.now() - user.created_at) >= ABANDONED_AFTER_MS;
    if (user.state !== 'pending' || !abandoned) return false;
    await this.finish(user);
    return true;
  }

  /** Completes a pending account from any step; returns an active one unchanged. */
  async finish(user: UserDoc): Promise<UserDoc> {
    if (user.state !== 'pending') return user;
    await this.userKeys.create(user._id, user.username);
    return this.#activate(user);
  }

  async #activate(user: UserDoc, onlyFirst = false): Promise<UserDoc> {
    const claim = { isNew: false };
    const role = await this.#role(user._id, () => (claim.isNew = true));
    if (role === 'user' && (onlyFirst || !this.#isAdmitted(user))) {
      if (onlyFirst && (await this.users.remove(user))) await this.userKeys.destroy(user._id);
      throw new DomainError('permission_denied', { detail: 'Another request created the first account.' });
    }
    failpoint('registration.role-claimed');
    const active = await this.users.change(user._id, (row) =>
      row.state === 'pending' ? { ...row, state: 'active', role } : undefined,
    );
    if (active !== undefined) return active;
    if (claim.isNew) await this.#giveBackClaim(user);
    throw new DomainError('store_unavailable', { retryAfterSeconds: 1 });
  }

  /** An interrupted registration is not completed if REGISTRATION no longer permits it. */
  #isAdmitted({ verified_email }: UserDoc): boolean {
    return this.config.accounts.registration === 'open' || verified_email !== undefined;
  }

  /**
   * The account was removed between the claim and its activation. A confirmation by mail may be
   * repeated with the same id while it is valid, and then needs the claim.
   */
  async #giveBackClaim(user: UserDoc): Promise<void> {
    const age = Math.abs(this.clock.now() - user.created_at);
    if (user.verified_email !== undefined && age < REGISTRATION_LIFE) return;
    await giveBackFirstAdministrator(this.store, user._id, this.config.dataDir);
  }

  async #role(userId: string, onNewClaim: () => void): Promise<Role> {
    if (this.config.accounts.bootstrapAdmin !== 'first-user') return 'user';
    const isFirst = await claimFirstAdministrator(this.store, userId, this.config.dataDir, onNewClaim);
    return isFirst ? 'administrator' : 'user';
  }

  /**
   * If the removal fails, the pending row is completed later. The key of a removed row is destroyed
   * too: a timed-out write may have succeeded, and an active key without an account would block the
   * name for ever.
   * A registration confirmed by mail keeps its key: its confirmation may be repeated with the same
   * id, for which no other key would ever be created.
   */
  async #withdraw(user: UserDoc): Promise<void> {
    const removed = await this.users.remove(user).catch(() => false);
    if (removed && user.verified_email === undefined) await this.userKeys.destroy(user._id).catch(() => undefined);
  }

  #draft(account: NewAccount): Omit<UserDoc, 'rev'> {
    const { id, username, email, verifiedEmail, hashed_password, salt } = account;
    return {
      _id: id,
      username,
      email,
      ...(verifiedEmail === undefined ? {} : { verified_email: verifiedEmail }),
      hashed_password,
      salt,
      role: 'user',
      state: 'pending',
      created_at: this.clock.now(),
      ...UNTRIED,
    };
  }
}

/** The unique index that rejected the row; undefined for any other error. */
export const refusedIndex = (error: unknown): string | undefined =>
  error instanceof DuplicateKey ? error.index : undefined;
