import { Injectable } from '@nestjs/common';
import type { WrapLocation } from '../../installation';
import { isDomainError } from '../../kernel';
import { Store } from '../../store';
import { type BackendName, MasterKey, MasterKeyRow, type MasterKeyState } from '../master-key';
import { userKeysCollection } from './user-keys.collection';
import { WrapStore } from './wrap-store/wrap-store';

/**
 * Whether a master key version still opens what it wrapped. `disabled`: not now, but an operator of
 * the backend of the master key can bring it back. `unknown`: the backend does not answer.
 */
export type VersionFate = 'opens' | 'disabled' | 'destroyed' | 'unknown';

/**
 * Which master key versions may have wrapped a key that is gone, by number: all that can open a
 * backup of it.
 */
export interface FormerWraps {
  readonly home: BackendName;
  /** Homes that the master key had moved away from before. */
  readonly formerHomes?: readonly BackendName[];
  /**
   * Where the wraps lay: beside the documents or in Vault. Of both, where they were moved, the
   * documents: backups of them reach further.
   */
  readonly keptIn: WrapLocation;
  /** Whether Vault had them for a time as well. */
  readonly alsoInVault?: boolean;
  readonly versions: readonly number[];
}

export interface WrapFate {
  readonly version: number;
  readonly fate: VersionFate;
}

/** What is left of erased keys outside this installation: which backups of them still open. */
@Injectable()
export class BackupExposure {
  constructor(
    private readonly masterKey: MasterKey,
    private readonly masterRow: MasterKeyRow,
    private readonly store: Store,
    private readonly wraps: WrapStore,
  ) {}

  /**
   * To be asked once the key has been destroyed, since no later version can wrap it then. All
   * versions up to now: which of them were before the key's time is not recorded, and to name too
   * many claims too little. Of the present backend alone: what an installation left behind in
   * another one has to be added here, and asked about in `fates`.
   */
  async wrapsUntilNow(ownerId: string): Promise<FormerWraps> {
    const { current, homes = [] } = await this.masterRow.read();
    const home = homes.at(-1)?.home ?? this.masterKey.home;
    const formerHomes = [...new Set(homes.map((span) => span.home))].filter((former) => former !== home);
    const versions = Array.from({ length: current }, (_, at) => at + 1);
    const keptIn = await this.#traces(ownerId);
    const kept = keptIn === 'both' ? ({ keptIn: 'store', alsoInVault: true } as const) : { keptIn };
    return { home, formerHomes, ...kept, versions };
  }

  /**
   * By what is left of the owner's row. What an older version left does not say it, and to name too
   * much claims too little.
   */
  async #traces(ownerId: string): Promise<WrapLocation | 'both'> {
    const row = await this.store.collection(userKeysCollection).find('_id', ownerId);
    return row === undefined ? this.wraps.location() : (row.kept_in ?? 'both');
  }

  /**
   * What has become of these versions by now. Never rejects because the backend of the master key
   * is away.
   */
  async fates({ versions }: FormerWraps): Promise<WrapFate[]> {
    const state = await this.#state();
    return versions.map((version) => ({ version, fate: state === undefined ? 'unknown' : fateOf(version, state) }));
  }

  async #state(): Promise<MasterKeyState | undefined> {
    try {
      return await this.masterKey.state();
    } catch (error) {
      if (isDomainError(error, 'kms_unavailable')) return undefined;
      throw error;
    }
  }
}

function fateOf(version: number, { versions, destroyedBelow = 0, unseen = [] }: MasterKeyState): VersionFate {
  if (unseen.includes(version)) return 'unknown';
  if (versions.some((known) => known.version === version)) return 'opens';
  return version < destroyedBelow ? 'destroyed' : 'disabled';
}
