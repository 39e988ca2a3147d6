import { Injectable } from '@nestjs/common';
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
    const counts = await this.countsBelow(current);
    // What is made now is wrapped by the current one: it is in use whatever there is, and a count of it costs as much as there are keys.
    const listed = versions.map((entry) => ({
      ...entry,
      inUse: entry.version >= current || (counts[entry.version] ?? 0) > 0,
    }));
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

  /**
   * For each version the keys that it may wrap: a row is listed by the lowest version in it and may hold later ones as well, so that
   * whatever lies below a version counts for it too.
   */
  private async countsBelow(current: number): Promise<readonly number[]> {
    const counts = [0];
    for (let version = 1; version < current; version += 1) {
      const here = await Promise.all([this.systemKeys.countWrappedBy(version), this.userKeys.countWrappedBy(version)]);
      counts.push(here[0] + here[1] + (counts[version - 1] ?? 0));
    }
    return counts;
  }
}
