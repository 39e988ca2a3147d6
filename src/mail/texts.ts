import { Mail } from './mailer';

/**
 * Every mail that Coffer writes, in plain text. What a stranger can choose (a user name, held to `[a-z0-9._-]`) stands inside our own
 * sentences only: nobody gets Coffer to send words of their own.
 */
const GOODBYE = 'Coffer';

const letter = (...paragraphs: readonly string[]): string => `${[...paragraphs, GOODBYE].join('\n\n')}\n`;

const codeLines = (code: string, minutes: number): string =>
  `    ${code}\n\nIt is good for ${minutes} minutes and for one use.`;

export const loginCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Your login code',
  text: letter(
    `Hello ${username},`,
    `this code completes your login:`,
    codeLines(code, minutes),
    'If you are not logging in just now, somebody knows your password: please change it. Nobody who asks you for this code is from Coffer.',
  ),
});

export const enableEmailCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Confirm two-factor login by e-mail',
  text: letter(
    `Hello ${username},`,
    'this code turns on two-factor login by e-mail for your account:',
    codeLines(code, minutes),
    'If you did not ask for it, ignore this mail and end your other sessions: nothing changes without the code.',
  ),
});

export const stepUpCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Your confirmation code',
  text: letter(
    `Hello ${username},`,
    'this code confirms that it is you, before something that matters is changed in your account:',
    codeLines(code, minutes),
    'If you did not ask for it, ignore this mail and end your other sessions.',
  ),
});

export const registrationCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Confirm your registration',
  text: letter(
    'Hello,',
    `somebody, most likely you, registered the user name "${username}" with this address. This code completes that registration:`,
    codeLines(code, minutes),
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
