import { hash } from 'argon2';
import { sha256 } from './hash';
import { ARGON2, PASSWORD_COSTS, PasswordCost } from './password-hasher';

const LABEL = 'coffer-pepper-check-1';

/**
 * Returns a value (base64) from which a later start recognises the same pepper.
 * It costs as much as a password hash. An attacker with the store and one known password can
 * already test guessed peppers at that cost; this value must not make the test cheaper.
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
