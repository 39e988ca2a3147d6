import { Mail } from './mailer';

/**
 * All mails of Coffer, in plain text. A stranger can choose only the user name (`[a-z0-9._-]`). It
 * appears inside our own sentences, in a form that mail programs do not turn into a link, so Coffer
 * cannot be used to send foreign text. A code comes first, because people read it off a
 * notification. A mail asks only for actions that have a route.
 */
const SIGNATURE = 'Coffer';
const LINE_CHARS = 72;

const letter = (...paragraphs: readonly string[]): string =>
  `${[...paragraphs, SIGNATURE].map(wrapped).join('\n\n')}\n`;

/** Short lines are sent unencoded; long lines would be encoded. */
function wrapped(paragraph: string): string {
  const lines: string[] = [];
  for (const word of paragraph.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + word.length < LINE_CHARS) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}

const TELEPHONE_NUMBER = /^\d(?:[._-]*\d){6,}[._-]*$/;

/**
 * A user name in a mail to a reader who may not have chosen it. Breaks up dots and long digit runs,
 * which mail programs would link as an address or telephone number; the name stays readable.
 */
export function shownName(username: string): string {
  const broken = TELEPHONE_NUMBER.test(username) ? username.replace(/\d(?=[\d._-])/g, '$& ') : username;
  return broken.replaceAll('.', '[.]');
}

const lifetime = (minutes: number): string => `It is good for ${minutes} minutes and for one use.`;

export const loginCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Your login code',
  text: letter(
    `Your login code: ${code}`,
    `It completes the login of "${shownName(username)}" that has just begun. ${lifetime(minutes)}`,
    'If you are not logging in just now, somebody knows the password of that account. They cannot get in without this code: give it to nobody, and tell the people who run this service.',
  ),
});

export const enableEmailCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Confirm two-factor login by e-mail',
  text: letter(
    `Your code: ${code}`,
    `It turns on two-factor login by e-mail for "${shownName(username)}". ${lifetime(minutes)}`,
    'If you did not ask for it, ignore this mail and end your other sessions: nothing changes without the code.',
  ),
});

export const stepUpCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Your confirmation code',
  text: letter(
    `Your code: ${code}`,
    `It confirms that it is you, before something that matters is changed in the account "${shownName(username)}". ${lifetime(minutes)}`,
    'If you did not ask for it, ignore this mail and end your other sessions.',
  ),
});

export const changeEmailCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Confirm your new e-mail address',
  text: letter(
    `Your code: ${code}`,
    `It makes this the e-mail address of the account "${shownName(username)}". ${lifetime(minutes)}`,
    'If you did not ask for it, ignore this mail: without the code nothing changes.',
  ),
});

/** The code stands in a line of its own, so that it can be copied. */
export const passwordResetCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Reset your password',
  text: letter(
    'Your code:',
    code,
    `It sets a new password for the account "${shownName(username)}". ${lifetime(minutes)} Where a second factor is on, that is asked for as well.`,
    'If you did not ask for it, ignore this mail: without the code nothing changes. Give it to nobody.',
  ),
});

export const registrationCode = (to: string, username: string, code: string, minutes: number): Mail => ({
  to,
  subject: 'Confirm your registration',
  text: letter(
    `Your code: ${code}`,
    `Somebody, most likely you, registered the user name "${shownName(username)}" with this address. The code completes that registration. ${lifetime(minutes)}`,
    `If you did not choose the name "${shownName(username)}" yourself, ignore this mail: without the code no account comes into being.`,
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
  | 'totp-added'
  | 'totp-removed'
  | 'email-added'
  | 'email-removed'
  | 'recovery-codes-replaced'
  | 'recovery-code-used'
  | 'password-changed'
  | 'password-reset'
  | 'reset-by-operator';

const FACTOR_CHANGES: Readonly<Record<FactorChange, string>> = {
  'totp-added': 'an authenticator app was added as a second factor.',
  'totp-removed': 'the authenticator app was removed as a second factor.',
  'email-added': 'two-factor login by e-mail was turned on.',
  'email-removed': 'two-factor login by e-mail was turned off.',
  'recovery-codes-replaced': 'new recovery codes were made; the former ones are void.',
  'recovery-code-used': 'a recovery code was used. It cannot be used again.',
  'password-changed': 'the password was changed. All other sessions have ended.',
  'password-reset': 'the password was reset with a mailed code. All sessions have ended.',
  'reset-by-operator':
    'the password and all second factors were removed by the people who run this service, for somebody who could not log in any more. All sessions have ended.',
};

/** The code has a line of its own and is not a link, because URLs are logged in transit. */
export const invitation = (to: string, code: string, service: string, until: string): Mail => ({
  to,
  subject: 'Your invitation',
  text: letter(
    'Your invitation code:',
    code,
    `An administrator of the service at ${service} invites you to register there with this address. Give the code as "invitation" when you register. It is good until ${until} and for one use.`,
    'If you do not know this service, ignore this mail: without the code no account comes into being.',
  ),
});

/** Sent after the change, so that the owner learns of a change made by an attacker (ASVS 6.3.7). */
export const factorChanged = (to: string, username: string, change: FactorChange): Mail => ({
  to,
  subject: 'The login of your account was changed',
  text: letter(
    `Hello ${username},`,
    `in your account ${FACTOR_CHANGES[change]}`,
    'If this was not you, end all other sessions at once, and tell the people who run this service.',
  ),
});

/** To the former address. It does not say the new one, which is the owner's alone to tell. */
export const emailChanged = (to: string, username: string): Mail => ({
  to,
  subject: 'The e-mail address of your account was changed',
  text: letter(
    'Hello,',
    `the account "${shownName(username)}" has another e-mail address now. Mails of the account do not come here any more.`,
    'If this was not you, end all other sessions at once, and tell the people who run this service.',
  ),
});
