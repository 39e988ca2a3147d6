import { Mail } from './mailer';

/**
 * Every mail that Coffer writes, in plain text. What a stranger can choose (a user name, held to `[a-z0-9._-]`) stands inside our own
 * sentences only: nobody gets Coffer to send words of their own. A code comes first: people read it off a notification.
 */
const SIGNATURE = 'Coffer';
const LINE_CHARS = 72;

const letter = (...paragraphs: readonly string[]): string =>
  `${[...paragraphs, SIGNATURE].map(wrapped).join('\n\n')}\n`;

/** Short lines travel as they are; long ones would be encoded. */
function wrapped(paragraph: string): string {
  const lines: string[] = [];
  for (const word of paragraph.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + word.length < LINE_CHARS) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}

const lifetime = (minutes: number): string => `It is good for ${minutes} minutes and for one use.`;

export const loginCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Your login code',
  text: letter(
    `Your login code: ${code}`,
    `It completes the login of "${username}" that has just begun. ${lifetime(minutes)}`,
    'If you are not logging in just now, somebody knows your password: please change it. Nobody who asks you for this code is from Coffer.',
  ),
});

export const enableEmailCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Confirm two-factor login by e-mail',
  text: letter(
    `Your code: ${code}`,
    `It turns on two-factor login by e-mail for "${username}". ${lifetime(minutes)}`,
    'If you did not ask for it, ignore this mail and end your other sessions: nothing changes without the code.',
  ),
});

export const stepUpCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Your confirmation code',
  text: letter(
    `Your code: ${code}`,
    `It confirms that it is you, before something that matters is changed in the account "${username}". ${lifetime(minutes)}`,
    'If you did not ask for it, ignore this mail and end your other sessions.',
  ),
});

export const registrationCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Confirm your registration',
  text: letter(
    `Your code: ${code}`,
    `Somebody, most likely you, registered the user name "${username}" with this address. The code completes that registration. ${lifetime(minutes)}`,
    `If you did not choose the name "${username}" yourself, ignore this mail: without the code no account comes into being.`,
  ),
});

export const alreadyRegistered = (to: string): Mail => ({
  to,
  subject: 'You already have an account',
  text: letter(
    'Hello,',
    'somebody, perhaps you, tried to register a new account with this address. It belongs to an account already, so nothing was changed.',
    'If it was you, log in with the user name or the address that you registered. If it was not, you need not do anything.',
  ),
});

export type FactorChange =
  'totp-added' | 'totp-removed' | 'email-added' | 'email-removed' | 'recovery-codes-replaced' | 'recovery-code-used';

const FACTOR_CHANGES: Readonly<Record<FactorChange, string>> = {
  'totp-added': 'an authenticator app was added as a second factor.',
  'totp-removed': 'the authenticator app was removed as a second factor.',
  'email-added': 'two-factor login by e-mail was turned on.',
  'email-removed': 'two-factor login by e-mail was turned off.',
  'recovery-codes-replaced': 'new recovery codes were made; the former ones are void.',
  'recovery-code-used': 'a recovery code was used. It cannot be used again.',
};

/** Told after the fact, so that whoever changed it behind the owner's back is not alone in knowing (ASVS 6.3.7). */
export const factorChanged = (to: string, username: string, change: FactorChange): Mail => ({
  to,
  subject: 'The login of your account was changed',
  text: letter(
    `Hello ${username},`,
    `in your account ${FACTOR_CHANGES[change]}`,
    'If this was not you, end all other sessions at once and change your password.',
  ),
});
