import { isoTime } from '../kernel';
import { FormerWraps, VersionFate, WrapFate } from '../keys/user-keys';
import { ErasureDoc } from './erasure.collection';

export const RECEIPT_FORMAT = 'coffer-erasure-receipt';

/**
 * Reach of an erasure. `live`: no data of the account is left in the installation, but an older
 * backup can be decrypted with a master key version that still exists. `backups`: no backup of the
 * store can be decrypted.
 */
export type Tier = 'live' | 'backups';

/** docs/formats.md, "Receipt of an erase". Times are ISO 8601 in UTC. */
export interface ErasureReceipt {
  readonly format: typeof RECEIPT_FORMAT;
  readonly format_version: 1;
  readonly installation_id: string;
  readonly account_id: string;
  readonly requested_by: 'owner' | 'administrator' | 'service-account';
  readonly requested_at: string;
  readonly finished_at: string;
  /** Time at which the tier was determined. */
  readonly issued_at: string;
  /** Number of erased rows, by kind. */
  readonly erased: Readonly<Record<string, number>>;
  /** `at_least` if a process died and the rows that it removed last were not counted. */
  readonly counts: 'exact' | 'at_least';
  readonly tier: Tier;
  readonly user_key: {
    readonly state: 'destroyed';
    readonly kept_in: 'store' | 'vault';
    readonly master_key_home: string;
    readonly wrapped_by: { readonly version: number; readonly state: VersionFate }[];
  };
  /** Copies that no erasure reaches. */
  readonly not_covered: string[];
}

const VAULT_SNAPSHOTS = 'snapshots of Vault from before the master key versions were destroyed';
const NOT_COVERED: Readonly<Record<FormerWraps['home'], readonly string[]>> = {
  transit: [VAULT_SNAPSHOTS],
  kv: [VAULT_SNAPSHOTS],
  local: ['copies of the keyring file from before the master key versions were destroyed, with COFFER_ROOT_KEY'],
};
const USER_KEY_SNAPSHOTS = 'snapshots of Vault from before the erase, which hold the wrapped user key';

/** `erasure` must be finished. */
export function receiptOf(
  erasure: ErasureDoc,
  wraps: FormerWraps,
  facts: { readonly fates: readonly WrapFate[]; readonly installationId: string; readonly now: number },
): ErasureReceipt {
  const inVault = wraps.keptIn === 'vault' || wraps.alsoInVault === true;
  const homes = [wraps.home, ...(wraps.formerHomes ?? [])];
  return {
    format: RECEIPT_FORMAT,
    format_version: 1,
    installation_id: facts.installationId,
    account_id: erasure._id,
    requested_by: erasure.requested_by,
    requested_at: isoTime(erasure.requested_at),
    finished_at: isoTime(erasure.finished_at ?? facts.now),
    issued_at: isoTime(facts.now),
    erased: { ...erasure.counts, account: 1 },
    counts: erasure.resumed ? 'at_least' : 'exact',
    tier: tierOf(wraps, facts.fates),
    user_key: {
      state: 'destroyed',
      kept_in: wraps.keptIn,
      master_key_home: wraps.home,
      wrapped_by: facts.fates.map(({ version, fate }) => ({ version, state: fate })),
    },
    not_covered: [
      ...new Set([...(inVault ? [USER_KEY_SNAPSHOTS] : []), ...homes.flatMap((home) => NOT_COVERED[home])]),
    ],
  };
}

/**
 * A disabled version can be enabled again, and a version of unknown state may exist: neither counts
 * as destroyed.
 */
const tierOf = ({ keptIn }: FormerWraps, fates: readonly WrapFate[]): Tier =>
  keptIn === 'vault' || fates.every(({ fate }) => fate === 'destroyed') ? 'backups' : 'live';
