import { isoTime } from '../kernel';
import type { MasterKeyOverview } from '../keys/rotation';
import type { UserKeyState } from '../keys/user-keys';
import { RotationDto } from './key-administration.dto';

export class MasterKeyVersionDto {
  /**
   * Number of the version, from 1.
   * @example 2
   */
  version!: number;

  /**
   * When it was made; null where its home does not say.
   * @example "2026-11-22T09:30:00.000Z"
   */
  created_at!: string | null;

  /**
   * Whether it is current or may still wrap something, so that it cannot be retired.
   * @example true
   */
  in_use!: boolean;
}

export class MasterKeyDto {
  /**
   * Where it is kept: `transit`, `kv` or `local`.
   * @example "transit"
   */
  home!: string;

  /**
   * The version that everything new is wrapped with.
   * @example 2
   */
  current!: number;

  /** The versions that still open something, oldest first. */
  versions!: MasterKeyVersionDto[];
}

export class UserKeyVersionDto {
  /**
   * Number of the version, from 1.
   * @example 1
   */
  version!: number;

  /**
   * When it was made.
   * @example "2026-11-22T09:30:00.000Z"
   */
  created_at!: string;
}

export class UserKeyDto {
  /**
   * The version that everything new of the caller is sealed under.
   * @example 1
   */
  current!: number;

  /** The versions that something of the caller may be sealed under, oldest first. */
  versions!: UserKeyVersionDto[];
}

export class KeysDto {
  master_key!: MasterKeyDto;

  user_key!: UserKeyDto;
}

export class RotateKeyAnswerDto {
  /**
   * Everything new is sealed under the new version, or will be as soon as the key service answers.
   * @example "Key rotated successfully"
   */
  message!: string;

  /** Counts values: file keys, names, records and secrets. */
  rotation!: RotationDto;
}

export const masterKeyDto = ({ home, current, versions }: MasterKeyOverview): MasterKeyDto => ({
  home,
  current,
  versions: versions.map(({ version, createdAt, inUse }) => ({
    version,
    created_at: createdAt === 0 ? null : isoTime(createdAt),
    in_use: inUse,
  })),
});

export const keysDto = (master: MasterKeyOverview, own: UserKeyState): KeysDto => ({
  master_key: masterKeyDto(master),
  user_key: {
    current: own.current,
    versions: own.versions.map(({ version, createdAt }) => ({ version, created_at: isoTime(createdAt) })),
  },
});
