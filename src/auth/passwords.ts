import { Injectable } from '@nestjs/common';
import { HashingTurn, PasswordHasher, randomSecret } from '../crypto';
import { UserDoc, Users } from '../users';

const SALT_BYTES = 16;

export type HashedPassword = Pick<UserDoc, 'hashed_password' | 'salt'>;

/** A row with a password: an account or a pending registration. */
export type PasswordHolder = Pick<UserDoc, '_id' | 'hashed_password' | 'salt'>;

/**
 * Passwords of accounts, hashed with an individual salt, the installation's pepper and the
 * account's id.
 */
@Injectable()
export class Passwords {
  constructor(
    private readonly hasher: PasswordHasher,
    private readonly users: Users,
  ) {}

  async hash(password: string, userId: string): Promise<HashedPassword> {
    const salt = randomSecret(SALT_BYTES);
    return { hashed_password: await this.hasher.hash(password, { userId, salt }), salt: salt.toString('hex') };
  }

  /**
   * Costs the same for an unknown account. A correct password with an outdated hash (former pepper
   * or cost) is rehashed.
   */
  isRight(user: PasswordHolder | undefined, password: string): Promise<boolean> {
    return this.inTurn(user?._id ?? '', (isRight) => isRight(user, password));
  }

  /**
   * Waits for a hashing slot in the queue of `name` and passes a check like `isRight` to `work`.
   * @throws DomainError `overloaded`; errors of `work`
   */
  inTurn<T>(name: string, work: (isRight: Passwords['isRight']) => Promise<T>): Promise<T> {
    return this.hasher.inTurn(name, (turn) => work((user, password) => this.#check(turn, user, password)));
  }

  async #check(turn: HashingTurn, user: PasswordHolder | undefined, password: string): Promise<boolean> {
    if (user === undefined) return (await turn.verifyNobody(password)).ok;
    const owner = { userId: user._id, salt: Buffer.from(user.salt, 'hex') };
    const verdict = await turn.verify(password, user.hashed_password, owner);
    if (verdict.needsRehash) await this.#renew(turn, user, password);
    return verdict.ok;
  }

  /** Does nothing if the password was changed meanwhile. */
  async #renew(turn: HashingTurn, { _id, hashed_password }: PasswordHolder, password: string): Promise<void> {
    const salt = randomSecret(SALT_BYTES);
    const renewed = {
      hashed_password: await turn.hash(password, { userId: _id, salt }),
      salt: salt.toString('hex'),
    };
    await this.users.change(_id, (user) =>
      user.hashed_password === hashed_password ? { ...user, ...renewed } : undefined,
    );
  }
}
