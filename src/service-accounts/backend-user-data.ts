import { Injectable } from '@nestjs/common';
import { isDomainError, UserDataHandler } from '../kernel';
import { OwnerKeys, Sealer, valuesUnder, versionIn } from '../keys/user-keys';
import { Collection, retryOnConflict, Store } from '../store';
import { serviceAccountsCollection, SubjectDoc, subjectsCollection } from '../users';
import { ApiKeys } from './api-keys';
import { openExternalId, sealExternalId } from './external-id';

/** The API keys of an owner end with it. Nothing in them is under the owner's key. */
@Injectable()
export class ApiKeysUserData implements UserDataHandler {
  readonly name = 'api-keys';
  readonly collections = [];

  constructor(private readonly keys: ApiKeys) {}

  reencrypt(): Promise<number> {
    return Promise.resolve(0);
  }

  countByKeyVersion(_ownerId: string, versions: readonly number[]): Promise<readonly number[]> {
    return Promise.resolve(versions.map(() => 0));
  }

  eraseUser(ownerId: string): Promise<number> {
    return this.keys.removeAll(ownerId);
  }
}

/**
 * The rows of service accounts and subjects: what is left of such an owner at last. The external id
 * is under the subject's own key.
 */
@Injectable()
export class BackendsUserData implements UserDataHandler {
  readonly name = 'subjects';
  readonly collections = [subjectsCollection.name];
  readonly #subjects: Collection<SubjectDoc>;

  constructor(
    private readonly store: Store,
    private readonly sealer: Sealer,
  ) {
    this.#subjects = store.collection(subjectsCollection);
  }

  /**
   * A pending row is stored again: whoever is about to make it active, with an id under the former
   * version, does not hold its compare-and-set.
   */
  async reencrypt(ownerId: string): Promise<number> {
    return retryOnConflict(async () => {
      const row = await this.#subjects.find('_id', ownerId);
      if (row === undefined) return 0;
      const renewed = await this.sealer.with(ownerId, (keys) => renewedRow(keys, row));
      if (renewed === undefined) return 0;
      return (await this.#subjects.replace(renewed)) === undefined ? undefined : 1;
    });
  }

  countByKeyVersion(ownerId: string, versions: readonly number[]): Promise<readonly number[]> {
    const values = { rows: this.#subjects, index: '_id', versionsOf: () => [] };
    return valuesUnder(ownerId, versions, { ...values, envelopesOf: ({ external_id }) => [external_id] });
  }

  async eraseUser(ownerId: string): Promise<number> {
    const subject = await this.#subjects.remove(ownerId);
    const account = await this.store.collection(serviceAccountsCollection).remove(ownerId);
    return [subject, account].filter(Boolean).length;
  }
}

/** Undefined where the row is right as it is, or its id does not open. */
function renewedRow(keys: OwnerKeys, row: SubjectDoc): SubjectDoc | undefined {
  const { external_id } = row;
  if (external_id === undefined) return row;
  if (versionIn(external_id) >= keys.version) return undefined;
  try {
    return { ...row, external_id: sealExternalId(keys, openExternalId(keys, external_id)) };
  } catch (error) {
    if (isDomainError(error, 'decryption_failed')) return undefined;
    throw error;
  }
}
