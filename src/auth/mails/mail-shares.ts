import { HOUR } from '../../kernel';
import { within } from '../../users';

/** Mails to one address in any hour, all kinds together. */
export const MAILS_AN_HOUR = 10;

/** The last of them is kept for a notice, so that nobody hides a change by using up the mails first. */
const BEFORE_NOTICES = MAILS_AN_HOUR - 1;

/**
 * Mails that need no proof of the address. A client's first goes out while strangers have had fewer than 8, its second while they
 * have had fewer than 6, and so on: one network alone gets 4 and leaves a first mail to four others.
 */
const STRANGERS_BEFORE: readonly number[] = [8, 6, 5, 4];

/**
 * `code`: for an account that has proved the address. `stranger`: a code to an address that the requester has not proved. `known`: a
 * stranger registered with an address that has an account. `silent`: the same, and its owner had such a mail already, so none goes out.
 */
export type MailKind = 'code' | 'stranger' | 'known' | 'silent' | 'notice' | 'invitation';

export type AskedMail = Exclude<MailKind, 'silent'>;

export interface SentMail {
  readonly at: number;
  readonly kind: MailKind;
  /** On mails of strangers: a MAC of the client's network. */
  readonly client?: string;
}

export interface Decision {
  /** Milliseconds until there is room for it; 0 where there is now. */
  readonly waitMs: number;
  /** The mails of the last hour, this one included where there is room for it. */
  readonly sent: readonly SentMail[];
  /** False also where it is counted and no mail is to go out. */
  readonly goesOut: boolean;
}

/** Whether one more mail may go to an address that had `sent`. */
export function decide(
  sent: readonly SentMail[],
  { kind, client }: { readonly kind: AskedMail; readonly client: string | undefined },
  now: number,
): Decision {
  const recent = sent.filter(({ at }) => within(at, now, HOUR));
  const waitMs = waitOf(recent, kind, client, now);
  if (waitMs > 0 && kind !== 'known') return { waitMs, sent: recent, goesOut: false };
  if (kind !== 'known') return { waitMs, sent: [...recent, entry(now, kind, client)], goesOut: true };
  // A stranger must not tell a known address from another: both are counted by the same rule.
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

/** How long until fewer than `limit` of these lie within the last hour. */
function waitFor(mails: readonly SentMail[], limit: number, now: number): number {
  const oldest = mails.at(-limit);
  return oldest === undefined || mails.length < limit ? 0 : Math.max(1, Math.min(oldest.at + HOUR - now, HOUR));
}
