import { Doc, defineCollection, plain } from '../../store';

/**
 * `_id` is the HMAC of the code: at 120 bits it needs no password hash (ASVS 6.5.2), and the lookup
 * is one read.
 */
export interface RecoveryCodeDoc extends Doc {
  readonly user_id: string;
  /** The code is valid while this equals the account's `recovery_batch`. */
  readonly batch: string;
}

export const recoveryCodesCollection = defineCollection<RecoveryCodeDoc>({
  name: 'recovery_codes',
  fields: { user_id: plain.string, batch: plain.string },
  indexes: { user: { fields: ['user_id', 'batch'] } },
  tampered: 'absent',
});
