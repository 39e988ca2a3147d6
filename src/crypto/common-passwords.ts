import { dictionary } from '@zxcvbn-ts/language-common';

/** What people build on when a rule asks for a capital, a digit and a sign. The list itself has few that such a rule lets through. */
const STEMS: ReadonlySet<string> = new Set(['password', 'qwerty', 'welcome', 'letmein', 'iloveyou', 'admin']);
/** A year and a sign or two. More than that was not added to please a rule. */
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
 * Is it, whatever the case of its letters, among the 49,000 passwords that are guessed first (ASVS 6.2.4), or one of the first of
 * them as a composition rule has it: `Password1!`, `P@ssw0rd2024`?
 */
export function isCommonPassword(password: string): boolean {
  common ??= new Set(dictionary['passwords-common']);
  const folded = password.toLowerCase();
  return common.has(folded) || STEMS.has(undisguised(folded.replace(ENDING, '')));
}

const undisguised = (word: string): string => word.replace(/[@431$05]/g, (sign) => DISGUISES[sign] ?? sign);
