import { Injectable } from '@nestjs/common';
import { PasswordHasher, randomSecret } from '../crypto';
import { UserDoc, Users } from '../users';

const SALT_BYTES = 16;

export type HashedPassword = Pick<UserDoc, 'hashed_password' | 'salt'>;

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
  async isRight(user: UserDoc | undefined, password: string): Promise<boolean> {
    if (user === undefined) return (await this.hasher.verifyNobody(password)).ok;
    const owner = { userId: user._id, salt: Buffer.from(user.salt, 'hex') };
    const verdict = await this.hasher.verify(password, user.hashed_password, owner);
    if (verdict.needsRehash) await this.#renew(user, password);
    return verdict.ok;
  }

  /** Not where the password was changed meanwhile. */
  async #renew({ _id, hashed_password }: UserDoc, password: string): Promise<void> {
    const renewed = await this.hash(password, _id);
    await this.users.change(_id, (user) =>
      user.hashed_password === hashed_password ? { ...user, ...renewed } : undefined,
    );
  }
}
