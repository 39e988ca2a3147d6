import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { Clock, DomainError, failpoint, Role, SECOND } from '../../kernel';
import { REGISTRATION_LIFE, UserKeyService } from '../../keys/user-keys';
import { claimFirstAdministrator, giveBackFirstAdministrator } from '../../installation';
import { DuplicateKey, Store } from '../../store';
import { UNTRIED, UserDoc, Users } from '../../users';
import { HashedPassword } from '../passwords';

export interface NewAccount extends HashedPassword {
  /** Chosen by the caller, so that a repeated confirmation of one registration makes one account. */
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly verifiedEmail?: string;
}

/** Younger than this, a pending account is one whose registration is still running. */
const ABANDONED_AFTER_MS = 10 * SECOND;

/**
 * An account comes into being in steps, each safe to repeat: (1) the row, `pending`, which takes the name; (2) the user key;
 * (3) the claim to be the first administrator; (4) the row, `active`. Whoever finds a pending row whose writer died goes on from there:
 * its owner's next login or registration. So nobody logs in without a key, no name is lost, and no claim is left with nobody.
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
   * With `onlyFirst` the account is the first administrator or none.
   * @throws DuplicateKey with index `username`, `verified_email` or `_id`; `kms_unavailable`, `permission_denied`, and then the name is free
   * again.
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

  /** Finishes a registration whose process died. False where it is not such a one: it has ended, or is still running. */
  async resume(user: UserDoc): Promise<boolean> {
    const abandoned = Math.abs(this.clock.now() - user.created_at) >= ABANDONED_AFTER_MS;
    if (user.state !== 'pending' || !abandoned) return false;
    await this.finish(user);
    return true;
  }

  /** Goes on with a pending account, from wherever its writer stopped. An active one is left as it is. */
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

  /** A registration that was left half-way is not finished by REGISTRATION that does not take it any more. */
  #isAdmitted({ verified_email }: UserDoc): boolean {
    return this.config.accounts.registration === 'open' || verified_email !== undefined;
  }

  /**
   * Somebody removed the account between the claim and its activation. A confirmation by mail may come again with the same id
   * while it is valid, and needs the claim then.
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
   * Where even this fails, the pending row is finished later. The key of a row that is gone goes too: a write that was given up may still
   * have landed, and an active key without an account would keep the name for ever. A registration that was confirmed by mail keeps it: its
   * confirmation comes again with the same id, for which no other key would ever be made.
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

/** Which unique index refused; undefined for any other error. */
export const refusedIndex = (error: unknown): string | undefined =>
  error instanceof DuplicateKey ? error.index : undefined;
