import { Doc, defineCollection, plain } from '../store';

/**
 * A backend that uses Coffer by keys of its own. It owns data as a user does, and has no password.
 */
export interface ServiceAccountDoc extends Doc {
  readonly name: string;
  /** As texts (kernel/scopes.ts). They never change, so that keys may carry copies. */
  readonly scopes: readonly string[];
  /** `removing`: an administrator removes it; it takes no new subjects and keys. */
  readonly state: 'active' | 'removing';
  /** Id of the administrator. */
  readonly created_by: string;
  readonly created_at: number;
}

export const serviceAccountsCollection = defineCollection<ServiceAccountDoc>({
  name: 'service_accounts',
  fields: {
    name: plain.string,
    scopes: plain.json,
    state: plain.string,
    created_by: plain.string,
    created_at: plain.time,
  },
  // As with users: a planted row is as if it were not there.
  tampered: 'absent',
});
