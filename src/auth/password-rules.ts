import { Config } from '../config';
import { isCommonPassword } from '../crypto';
import { DomainError } from '../kernel';

export interface PasswordContext {
  readonly username: string;
  readonly email: string;
}

const MAX_BYTES = 1_024;
const CLASSIC_MIN_CHARS = 8;
/** Recommended by ASVS 6.2.1 for a rule that checks only the length. */
const LENGTH_MIN_CHARS = 15;
/** Shorter context words (ASVS 6.2.11) would reject passwords by accident. */
const MIN_WORD_CHARS = 4;
const PRODUCT_WORD = 'coffer';

type Rule = (password: string, context: PasswordContext) => string | undefined;

const longEnough =
  (chars: number): Rule =>
  (password) =>
    Array.from(password).length < chars ? `It needs at least ${chars} characters.` : undefined;

const rules: Readonly<Record<Config['passwords']['rule'], readonly Rule[]>> = {
  classic: [
    longEnough(CLASSIC_MIN_CHARS),
    (password) => (/\p{Lu}/u.test(password) ? undefined : 'It needs an uppercase letter.'),
    (password) => (/\p{Nd}/u.test(password) ? undefined : 'It needs a digit.'),
    (password) => (/[^\p{L}\p{N}]/u.test(password) ? undefined : 'It needs a special character.'),
  ],
  length: [longEnough(LENGTH_MIN_CHARS)],
};

const always: readonly Rule[] = [
  (password) =>
    Buffer.byteLength(password, 'utf8') > MAX_BYTES ? `It must not be longer than ${MAX_BYTES} bytes.` : undefined,
  // Lone surrogates have no form in UTF-8, so different passwords would become equal.
  (password) => (/\p{Surrogate}/u.test(password) ? 'It must be well-formed Unicode.' : undefined),
  (password, { username, email }) =>
    [username, email.toLowerCase()].includes(password.toLowerCase()) ? 'It must not be your name.' : undefined,
];

const noContextWord: Rule = (password, context) =>
  wordsOf(context).some((word) => password.toLowerCase().includes(word))
    ? 'It must not contain your user name, your e-mail address or the name of this service.'
    : undefined;

const uncommon: Rule = (password) =>
  isCommonPassword(password) ? 'It is on the list of passwords that are guessed first.' : undefined;

/**
 * Checks the password exactly as sent, as it is hashed later.
 * @throws DomainError `weak_password`, with the missing requirement
 */
export function requireStrongPassword(
  password: string,
  rule: Config['passwords']['rule'],
  context: PasswordContext,
  pointer = '/password',
): void {
  for (const check of [...always, ...rules[rule], noContextWord, uncommon]) {
    const message = check(password, context);
    if (message === undefined) continue;
    throw new DomainError('weak_password', { detail: message, fields: [{ pointer, message }] });
  }
}

function wordsOf({ username, email }: PasswordContext): string[] {
  const local = email.slice(0, email.lastIndexOf('@')).toLowerCase();
  return [username.toLowerCase(), local, PRODUCT_WORD].filter((word) => word.length >= MIN_WORD_CHARS);
}
