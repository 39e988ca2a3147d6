import { dictionary } from '@zxcvbn-ts/language-common';

/**
 * Common stems of passwords that satisfy a composition rule. The dictionary has few passwords with
 * a capital, a digit and a sign.
 */
const STEMS: ReadonlySet<string> = new Set(['password', 'qwerty', 'welcome', 'letmein', 'iloveyou', 'admin']);
/**
 * A suffix such as a year and a sign. Longer suffixes are not a mere response to a composition
 * rule.
 */
const ENDING = /[^a-z]{1,6}$/;
const DISGUISES: Readonly<Record<string, string>> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '1': 'i',
  '0': 'o',
  $: 's',
  '5': 's',
};

let common: ReadonlySet<string> | undefined;

/**
 * True if the password, in any letter case, is among the 49,000 most common ones (ASVS 6.2.4). Also
 * true for a common stem in the form that composition rules produce: `Password1!`, `P@ssw0rd2024`.
 */
export function isCommonPassword(password: string): boolean {
  common ??= new Set(dictionary['passwords-common']);
  const folded = password.toLowerCase();
  return common.has(folded) || STEMS.has(undisguised(folded.replace(ENDING, '')));
}

const undisguised = (word: string): string => word.replace(/[@431$05]/g, (sign) => DISGUISES[sign] ?? sign);
