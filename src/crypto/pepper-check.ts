import { argon2id, hash } from 'argon2';
import { sha256 } from './hash';
import { PASSWORD_COST } from './password-hasher';

const LABEL = 'coffer-pepper-check-1';

/**
 * A value by which a later start knows the same pepper again; base64. It costs what a password hash costs: whoever has the store and
 * knows one password of it can test a guessed pepper against that hash, and this value must not make such a test any cheaper.
 */
export async function pepperCheck(pepper: string, installationId: string): Promise<string> {
  const salt = sha256(Buffer.from(`${LABEL} ${installationId}`, 'utf8')).subarray(0, 16);
  const options = { ...PASSWORD_COST, type: argon2id, raw: true, salt } as const;
  return (await hash(Buffer.from(LABEL, 'utf8'), { ...options, secret: Buffer.from(pepper, 'utf8') })).toString(
    'base64',
  );
}
