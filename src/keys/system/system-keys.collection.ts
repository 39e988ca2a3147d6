import { defineCollection, type Doc } from '../../store';

/** What the installation's own keys are for; the `_id` of a row and the purpose in its wrap context. */
export const SYSTEM_KEY_NAMES = ['integrity', 'one-time-codes'] as const;
export type SystemKeyName = (typeof SYSTEM_KEY_NAMES)[number];

export interface SystemKeyDoc extends Doc {
  readonly wrapped: string;
  readonly master_version: number;
}

/** The only unsealed rows: the key that seals is among them. Who changes one has a row that does not unwrap. */
export const systemKeysCollection = defineCollection<SystemKeyDoc>({
  name: 'system_keys',
  fields: { wrapped: 'string', master_version: 'number' },
  clear: ['master_version'],
  indexes: { master_version: { fields: ['master_version'] } },
  forged: 'refuse',
  sealed: false,
});
