import { HOUR } from '../../kernel';
import { within } from '../../users';

/** Limit of mails to one address in any hour, of all kinds together. */
export const MAILS_AN_HOUR = 10;

/**
 * The last mail is reserved for a notice, so that an attacker cannot hide a change by exhausting
 * the allowance.
 */
const BEFORE_NOTICES = MAILS_AN_HOUR - 1;

/**
 * Limits of mails without a proof of the address. A client's first mail is sent while strangers
 * have had fewer than 8, its second while they have had fewer than 6, and so on. One network thus
 * gets 4 mails and leaves a first mail to four others.
 */
const STRANGERS_BEFORE: readonly number[] = [8, 6, 5, 4];

/**
 * `code`: for an account with a verified address. `stranger`: a code to an address that the
 * requester has not verified. `known`: a stranger registered with the address of an existing
 * account. `silent`: like `known`, but no mail is sent because the owner has had one.
 */
export type MailKind = 'code' | 'stranger' | 'known' | 'silent' | 'notice' | 'invitation';

export type AskedMail = Exclude<MailKind, 'silent'>;

export interface SentMail {
  readonly at: number;
  readonly kind: MailKind;
  /** For mails of strangers: a MAC of the client's network. */
  readonly client?: string;
}

export interface Decision {
  /** Milliseconds until a mail is allowed; 0 if it is allowed now. */
  readonly waitMs: number;
  /** The mails of the last hour, including this one if it is allowed. */
  readonly sent: readonly SentMail[];
  /** Also false if the mail is counted but not sent. */
  readonly goesOut: boolean;
}

/** Decides whether another mail may be sent to an address with the mails `sent`. */
export function decide(
  sent: readonly SentMail[],
  { kind, client }: { readonly kind: AskedMail; readonly client: string | undefined },
  now: number,
): Decision {
  const recent = sent.filter(({ at }) => within(at, now, HOUR));
  const waitMs = waitOf(recent, kind, client, now);
  if (waitMs > 0 && kind !== 'known') return { waitMs, sent: recent, goesOut: false };
  if (kind !== 'known') return { waitMs, sent: [...recent, entry(now, kind, client)], goesOut: true };
  // A stranger must not be able to distinguish a known address: the same rule counts both.
  const strangerWaits = strangersWait(recent, client, now);
  if (strangerWaits > 0) return { waitMs: strangerWaits, sent: recent, goesOut: false };
  const isSilent = waitMs > 0 || recent.some((mail) => mail.kind === 'known');
  return { waitMs: 0, sent: [...recent, entry(now, isSilent ? 'silent' : 'known', client)], goesOut: !isSilent };
}

const entry = (at: number, kind: MailKind, client: string | undefined): SentMail =>
  client === undefined || !isStrangers({ kind }) ? { at, kind } : { at, kind, client };

const isStrangers = ({ kind }: Pick<SentMail, 'kind'>): boolean =>
  kind === 'stranger' || kind === 'known' || kind === 'silent';

function waitOf(recent: readonly SentMail[], kind: AskedMail, client: string | undefined, now: number): number {
  const mails = recent.filter((mail) => mail.kind !== 'silent');
  const all = waitFor(mails, MAILS_AN_HOUR, now);
  if (kind === 'notice') return all;
  const others = mails.filter((mail) => mail.kind !== 'notice');
  const wait = Math.max(all, waitFor(others, BEFORE_NOTICES, now));
  return kind === 'stranger' ? Math.max(wait, strangersWait(recent, client, now)) : wait;
}

function strangersWait(recent: readonly SentMail[], client: string | undefined, now: number): number {
  const strangers = recent.filter(isStrangers);
  const own = client === undefined ? [] : strangers.filter((mail) => mail.client === client);
  const limit = STRANGERS_BEFORE[own.length];
  if (limit === undefined) return waitFor(own, STRANGERS_BEFORE.length, now);
  return waitFor(strangers, limit, now);
}

/** Time until fewer than `limit` of these mails lie within the last hour. */
function waitFor(mails: readonly SentMail[], limit: number, now: number): number {
  const oldest = mails.at(-limit);
  return oldest === undefined || mails.length < limit ? 0 : Math.max(1, Math.min(oldest.at + HOUR - now, HOUR));
}
