import { Injectable } from '@nestjs/common';
import { HashingTurn, PasswordHasher, randomSecret } from '../crypto';
import { UserDoc, Users } from '../users';

const SALT_BYTES = 16;

export type HashedPassword = Pick<UserDoc, 'hashed_password' | 'salt'>;

/** A row that holds a password: an account's, or that of a registration that is to become one. */
export type PasswordHolder = Pick<UserDoc, '_id' | 'hashed_password' | 'salt'>;

/** Passwords of accounts: hashed with a salt of their own, the installation's pepper and the account's id. */
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

  /** Costs the same where there is no such account. A right password under the former pepper is hashed anew. */
  isRight(user: PasswordHolder | undefined, password: string): Promise<boolean> {
    return this.inTurn(user?._id ?? '', (isRight) => isRight(user, password));
  }

  /** Waits for the turn of `name` and gives `work` a check as `isRight`. @throws DomainError `overloaded`; what `work` throws. */
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

  /** Not where the password was changed meanwhile. */
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
