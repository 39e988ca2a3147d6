import { Injectable } from '@nestjs/common';
import { DomainError, failpoint, isDomainError } from '../../kernel';
import { retryOnConflict } from '../../store';
import {
  endedThrough,
  flooredThrough,
  MasterKey,
  type MasterKeyDoc,
  MasterKeyRow,
  onlyBackend,
  rangeOf,
} from '../master-key';
import { SystemKeys } from '../system-keys';
import { RetireWalk } from './retire-walk';
import { type NamedRows, UserKeyRewrap } from '../user-keys';

/** Where something is in use, so many are counted for whoever asked. */
const COUNTED = 1_000;
/** Each is a walk over all keys, and is lost only where somebody rotates or retires meanwhile. */
const DECISIONS = 3;

/** Ends master key versions that wrap nothing any more. */
@Injectable()
export class Retirement {
  readonly walk = new RetireWalk();

  constructor(
    private readonly masterKey: MasterKey,
    private readonly row: MasterKeyRow,
    private readonly systemKeys: SystemKeys,
    private readonly userKeys: UserKeyRewrap,
  ) {}

  /**
   * Ends `version` and every earlier one. The epoch rises first, then every row is walked, pending rows and quarantine included, and what their
   * wraps say decides: a writer that wrapped with such a version before is met, or sees the epoch before its row becomes visible, however long
   * it slept. That the version ends is written into the row that was read before the walk, so whoever slept over a change of it walks again.
   * Safe to repeat, also where a process died over it. Where the walk takes longer than an answer may, it goes on and ends nothing; the
   * next call of this process takes what it found.
   * @throws DomainError `not_found`; `version_in_use` with `count`; `integrity_failed` naming rows that nobody can be sure of; `kms_unavailable`.
   */
  async retire(version: number): Promise<void> {
    await this.requireRetirable(version).catch(async (refusal: unknown) => {
      if (isDomainError(refusal, 'not_found')) await this.markIfEnded(version);
      throw refusal;
    });
    await this.decide(version);
    failpoint('retire.counted');
    await this.masterKey.retire(version);
    failpoint('retire.ended');
    await this.markEnded(version);
  }

  /** Whether `version` could be retired as things stand. Changes nothing. @throws DomainError as `retire`. */
  async requireRetirable(version: number): Promise<void> {
    const { current: named, homes = [] } = await this.row.read();
    const { current, versions, unseen = [] } = await this.masterKey.state();
    if (rangeOf(homes, version)?.ended === true) throw new DomainError('not_found');
    if (unseen.includes(version)) throw awayHome();
    // Numbers that a move left out end with what its former home holds below them.
    const since = version < named ? (rangeOf(homes, version)?.since ?? version) : version;
    const known = versions.some((listed) => listed.version >= since && listed.version <= version);
    if (!known) throw new DomainError('not_found');
    // The row decides what is used: a version that the home has beyond it may become current at any time.
    const listed = versions.map((each) => each.version).filter((each) => each <= version);
    const count = await this.listedUnder(version >= Math.min(named, current) ? [...listed, version] : listed);
    if (count > 0 || version >= Math.min(named, current)) throw inUse(count);
  }

  /**
   * From the rows and the wraps themselves, and never from a count. @throws DomainError `version_in_use` with `count` (1,000 at most) where
   * anything is on `version` or an earlier one; `integrity_failed` naming the rows of which nobody can say.
   */
  async requireUnused(version: number): Promise<void> {
    const system = (await this.systemKeys.wrapVersions()).filter((each) => each <= version).length;
    const { count, doubtful } = await this.userKeys.wrapsUpTo(version, COUNTED);
    if (system + count > 0) throw inUse(system + count);
    if (doubtful.count > 0) throw doubtfulRows(doubtful);
  }

  /** The walk, and behind it the decision, which holds only if nobody has rotated, retired or restored the row since before the walk. */
  private async decide(version: number): Promise<void> {
    const until = this.walk.deadline;
    for (let attempt = 0; attempt < DECISIONS; attempt += 1) {
      const raised = await this.walk.row(version, until, () => this.walked(version));
      const homes = flooredThrough(raised.homes ?? onlyBackend(this.masterKey.home), version);
      if ((await this.row.note(raised, homes)) !== undefined) return;
    }
    throw new DomainError('conflict', { detail: 'The master key keeps changing meanwhile.', retryAfterSeconds: 5 });
  }

  private async walked(version: number): Promise<MasterKeyDoc> {
    const raised = await this.raiseEpoch();
    failpoint('retire.epoch-raised');
    await this.requireUnused(version);
    return raised;
  }

  private raiseEpoch(): Promise<MasterKeyDoc> {
    return retryOnConflict(async () => {
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
    if (!isGone || (await this.isUsed(version))) return;
    await this.markEnded(version);
  }

  private async isUsed(version: number): Promise<boolean> {
    try {
      await this.requireUnused(version);
      return false;
    } catch (error) {
      if (isDomainError(error, 'version_in_use', 'integrity_failed')) return true;
      throw error;
    }
  }

  /** A home that the master key left is not needed any more once all its versions are retired. */
  private async markEnded(version: number): Promise<void> {
    await retryOnConflict(async () => {
      const seen = await this.row.read();
      const homes = seen.homes && endedThrough(seen.homes, version);
      const isNews = homes?.some(({ ended }, at) => ended !== seen.homes?.[at]?.ended) === true;
      return isNews ? this.row.advance(seen, seen.current, homes) : seen;
    });
  }

  /** By the index, so that what is plainly in use is refused before anything is walked. */
  private async listedUnder(versions: readonly number[]): Promise<number> {
    let count = 0;
    for (const version of new Set(versions)) {
      if (count >= COUNTED) return COUNTED;
      count += await this.systemKeys.countWrappedBy(version);
      count += await this.userKeys.countWrappedBy(version, COUNTED);
    }
    return Math.min(count, COUNTED);
  }
}

const awayHome = (): DomainError =>
  new DomainError('kms_unavailable', { detail: 'A former home of the master key does not answer.' });

const inUse = (count: number): DomainError =>
  new DomainError('version_in_use', {
    detail: 'Keys are wrapped by this version. Rotate the master key, and look at what is in quarantine.',
    extensions: { count },
  });

const doubtfulRows = ({ count, first }: NamedRows): DomainError =>
  new DomainError('integrity_failed', {
    detail:
      `${count} rows of user keys do not hold their seal, or say another version than their wraps, which are needed to tell: ` +
      `${first.join(', ')}. docs/keys.md says what to do with them.`,
    extensions: { count },
  });
