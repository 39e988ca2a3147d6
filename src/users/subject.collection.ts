import { Doc, defineCollection, digest, encrypted, plain } from '../store';

/** An end user of a backend: owns data and a key, and has no login. */
export interface SubjectDoc extends Doc {
  /** Id of the service account that it belongs to. */
  readonly account_id: string;
  /** HMAC of account and external id: finds the subject, and keeps one id from having two. */
  readonly external_index: string;
  /**
   * The external id as a record envelope under the subject's own key, hex; absent until that key is
   * there.
   */
  readonly external_id?: string;
  /** `pending`: its key is being made; whoever finds it so goes on. */
  readonly state: 'pending' | 'active';
  readonly created_at: number;
}

export const subjectsCollection = defineCollection<SubjectDoc>({
  name: 'subjects',
  fields: {
    account_id: plain.string,
    external_index: digest.string,
    external_id: encrypted.string,
    state: plain.string,
    created_at: plain.time,
  },
  owner: '_id',
  indexes: {
    external: { fields: ['external_index'], unique: true },
    account: { fields: ['account_id', 'state'] },
  },
  tampered: 'absent',
});
