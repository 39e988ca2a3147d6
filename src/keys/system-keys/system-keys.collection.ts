import { defineCollection, type Doc, plain, wrapped } from '../../store';
import { INSTALLATION, type UnwrapItem, wrapContext, wrapVersion } from '../master-key';

/**
 * What the installation's own keys are for; the `_id` of a row and the purpose in its wrap context.
 */
export const SYSTEM_KEY_NAMES = ['integrity', 'one-time-codes', 'receipts'] as const;
export type SystemKeyName = (typeof SYSTEM_KEY_NAMES)[number];

/**
 * What an installation cannot lose without losing its data: never made anew. A lost receipt key
 * only begins a new series of receipts.
 */
export const VITAL_SYSTEM_KEYS: readonly SystemKeyName[] = ['integrity', 'one-time-codes'];

export interface SystemKeyDoc extends Doc {
  readonly wrapped: string;
  /**
   * `pending` until the wrap protocol has ended, for a key that is made beside a master key row.
   * `opening` until the first start has ended, for the integrity key: its wrap has a context of its
   * own as long. Absent otherwise.
   */
  readonly state?: 'pending' | 'opening';
  readonly master_version: number;
}

/**
 * The only unsealed rows: the key that seals is among them. Who changes one has a row that does not
 * unwrap.
 */
export const systemKeysCollection = defineCollection<SystemKeyDoc>({
  name: 'system_keys',
  fields: { wrapped: wrapped.string, state: plain.string, master_version: plain.number },
  indexes: { master_version: { fields: ['master_version'] } },
  tampered: 'refuse',
  authenticated: false,
});

export const isOurs = (name: string): boolean => SYSTEM_KEY_NAMES.some((known) => known === name);
export const isVital = (name: string): boolean => VITAL_SYSTEM_KEYS.some((vital) => vital === name);

export const contextOf = (name: string, state?: SystemKeyDoc['state']): Buffer => {
  const purpose = name === 'integrity' && state === 'opening' ? 'integrity-opening' : (name as SystemKeyName);
  return wrapContext(purpose, INSTALLATION, 1);
};

export const itemOf = (row: SystemKeyDoc): UnwrapItem => ({
  // What the wrap says is authenticated by the wrap; what the row says is by nothing.
  wrapped: { masterVersion: wrapVersion(row.wrapped) ?? row.master_version, ciphertext: row.wrapped },
  context: contextOf(row._id, row.state),
});
