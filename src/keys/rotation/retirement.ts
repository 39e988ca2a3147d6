import { Injectable } from '@nestjs/common';
import { DomainError, failpoint, isDomainError } from '../../kernel';
import { untilHeld } from '../../store';
import { endedThrough, MasterKey, MasterKeyRow, spanOf } from '../master';
import { SystemKeys } from '../system';
import { UserKeyRewrapper } from '../user';

/** Ends master key versions that wrap nothing any more. */
@Injectable()
export class Retirement {
  constructor(
    private readonly masterKey: MasterKey,
    private readonly row: MasterKeyRow,
    private readonly systemKeys: SystemKeys,
    private readonly userKeys: UserKeyRewrapper,
  ) {}

  /**
   * Ends `version` and every earlier one. The epoch rises first, then everything is counted, pending rows and quarantine included: a writer
   * that wrapped with such a version before is in the count, or sees the epoch before its row becomes visible, however long it slept.
   * Safe to repeat, also where a process died over it (copies of a key document may still hold the version). @throws DomainError `not_found`; `version_in_use` with `count` (all keys, for the current version); `kms_unavailable`.
   */
  async retire(version: number): Promise<void> {
    await this.requireRetirable(version).catch(async (refusal: unknown) => {
      if (isDomainError(refusal, 'not_found')) await this.markIfEnded(version);
      throw refusal;
    });
    await this.raiseEpoch();
    failpoint('retire.epoch-raised');
    await this.requireUnused(version);
    failpoint('retire.counted');
    await this.masterKey.retire(version);
    failpoint('retire.ended');
    await this.markEnded(version);
  }

  /** Whether `version` could be retired as things stand. Changes nothing. @throws DomainError as `retire`. */
  async requireRetirable(version: number): Promise<void> {
    const { current: named, homes = [] } = await this.row.read();
    const { current, versions, unseen = [], isRetiring } = await this.masterKey.state();
    if (spanOf(homes, version)?.ended === true) throw new DomainError('not_found');
    if (unseen.includes(version)) throw awayHome();
    // Numbers that a move left out end with what its former home holds below them.
    const since = version < named ? (spanOf(homes, version)?.since ?? version) : version;
    const known = versions.some((listed) => listed.version >= since && listed.version <= version);
    // One that a process died over is taken up again.
    if (!known && (isRetiring !== true || version > current)) throw new DomainError('not_found');
    // The row decides what is used: a version that the home has beyond it may become current at any time.
    if (version >= Math.min(named, current)) throw inUse(await this.countUpTo(version));
    await this.requireUnused(version);
  }

  /** @throws DomainError `version_in_use` with `count` where anything is on `version` or an earlier one. */
  async requireUnused(version: number): Promise<void> {
    const count = await this.countUpTo(version);
    if (count > 0) throw inUse(count);
  }

  private async raiseEpoch(): Promise<void> {
    await untilHeld(async () => {
      const seen = await this.row.read();
      return this.row.advance(seen, seen.current);
    });
  }

  /**
   * A death may have come between the end of versions and what says that their home is not needed any more. An operator may have disabled
   * versions by hand too: with keys on them they have not ended.
   */
  private async markIfEnded(version: number): Promise<void> {
    const { current } = await this.row.read();
    const { versions, unseen = [] } = await this.masterKey.state();
    const left = [...versions.map((known) => known.version), ...unseen];
    const isGone = version < current && left.every((each) => each > version);
    if (isGone && (await this.countUpTo(version)) === 0) await this.markEnded(version);
  }

  /** A home that the master key left is not needed any more once all its versions are retired. */
  private async markEnded(version: number): Promise<void> {
    await untilHeld(async () => {
      const seen = await this.row.read();
      const homes = seen.homes && endedThrough(seen.homes, version);
      const isNews = homes?.some(({ ended }, at) => ended !== seen.homes?.[at]?.ended) === true;
      return isNews ? this.row.advance(seen, seen.current, homes) : seen;
    });
  }

  /** A row is listed by the lowest version in it and may hold later ones too, so whatever lies below counts as well. */
  private async countUpTo(version: number): Promise<number> {
    let count = 0;
    for (let each = 1; each <= version; each += 1) {
      count += (await this.systemKeys.countWrappedBy(each)) + (await this.userKeys.countWrappedBy(each));
    }
    return count;
  }
}

const awayHome = (): DomainError =>
  new DomainError('kms_unavailable', { detail: 'A former home of the master key does not answer.' });

const inUse = (count: number): DomainError =>
  new DomainError('version_in_use', {
    detail: 'Keys are wrapped by this version. Rotate the master key, and look at what is in quarantine.',
    extensions: { count },
  });
