import { Injectable } from '@nestjs/common';
import { isDomainError } from '../../kernel';
import { MasterKey, MasterKeyRow } from '../master';
import { SystemKeys } from '../system';
import { UserKeyRewrapper, UserKeyRotator, type UserKeyState } from '../user';

export interface MasterKeyOverview {
  readonly home: MasterKey['home'];
  /** The version that everything new is wrapped with. */
  readonly current: number;
  /** Oldest first. `inUse`: current, or something may still be wrapped by it. `createdAt`: ms since the epoch, 0 where unknown. */
  readonly versions: readonly { readonly version: number; readonly createdAt: number; readonly inUse: boolean }[];
}

/** What there is in keys, never a key. */
@Injectable()
export class KeyOverview {
  constructor(
    private readonly masterKey: MasterKey,
    private readonly row: MasterKeyRow,
    private readonly systemKeys: SystemKeys,
    private readonly userKeys: UserKeyRewrapper,
    private readonly rotator: UserKeyRotator,
  ) {}

  /** @throws DomainError `kms_unavailable`. */
  async masterKeyNow(): Promise<MasterKeyOverview> {
    const [{ current }, { versions }] = [await this.row.read(), await this.masterKey.state()];
    const used = await this.lowestInUse(versions.map(({ version }) => version).filter((version) => version < current));
    // A row is listed by the lowest version in it and may hold later ones as well.
    const listed = versions.map((entry) => ({ ...entry, inUse: entry.version >= Math.min(current, used) }));
    return { home: this.masterKey.home, current, versions: listed };
  }

  /** When the version that everything new is wrapped with was made, ms since the epoch; 0 where its backend does not tell. */
  async currentMadeAt(): Promise<number> {
    const [{ current }, { versions }] = [await this.row.read(), await this.masterKey.state()];
    return versions.find(({ version }) => version === current)?.createdAt ?? 0;
  }

  /** @throws DomainError `not_found`. */
  ownKey(ownerId: string): Promise<UserKeyState> {
    return this.rotator.state(ownerId);
  }

  /** Whether there is any key, and not how many: by the index, for display. What cannot be told in time may be in use. */
  private async lowestInUse(versions: readonly number[]): Promise<number> {
    try {
      for (const version of versions) {
        if ((await this.systemKeys.countWrappedBy(version)) > 0) return version;
        if ((await this.userKeys.countWrappedBy(version, 1)) > 0) return version;
      }
      return Infinity;
    } catch (error) {
      if (isDomainError(error, 'store_unavailable')) return versions[0] ?? Infinity;
      throw error;
    }
  }
}
