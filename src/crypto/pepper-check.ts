import { hash } from 'argon2';
import { sha256 } from './hash';
import { ARGON2, PASSWORD_COSTS, PasswordCost } from './password-hasher';

const LABEL = 'coffer-pepper-check-1';

/**
 * A value by which a later start knows the same pepper again; base64. It costs what a password hash costs: whoever has the store and
 * knows one password of it can test a guessed pepper against that hash, and this value must not make such a test any cheaper.
 */
export async function pepperCheck(
  pepper: string,
  installationId: string,
  cost: PasswordCost = PASSWORD_COSTS.standard,
): Promise<string> {
  const salt = sha256(Buffer.from(`${LABEL} ${installationId}`, 'utf8')).subarray(0, 16);
  const options = { ...ARGON2, ...cost, salt };
  return (await hash(Buffer.from(LABEL, 'utf8'), { ...options, secret: Buffer.from(pepper, 'utf8') })).toString(
    'base64',
  );
}
