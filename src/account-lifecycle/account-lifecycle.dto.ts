import { ApiProperty } from '@nestjs/swagger';
import { FileDto } from '../files';
import { SensitiveDataDto } from '../sensitive-data';

export class FormerWrapDto {
  /**
   * A master key version that may have wrapped the user key.
   * @example 1
   */
  version!: number;

  /**
   * Current state of the version: `opens` (still decrypts); `disabled`, which an operator can undo;
   * `destroyed`; `unknown` if the key's backend does not report it.
   * @example "opens"
   */
  state!: 'opens' | 'disabled' | 'destroyed' | 'unknown';
}

export class ErasedUserKeyDto {
  /**
   * The user key is destroyed in this installation.
   * @example "destroyed"
   */
  state!: 'destroyed';

  /**
   * Location of the wrapped user key: in the store, or in Vault.
   * @example "store"
   */
  kept_in!: 'store' | 'vault';

  /**
   * Backend of the master key.
   * @example "transit"
   */
  master_key_home!: string;

  wrapped_by!: FormerWrapDto[];
}

export class ErasureReceiptDto {
  /**
   * Identifies the format of the receipt.
   * @example "coffer-erasure-receipt"
   */
  format!: string;

  /**
   * Version of the format.
   * @example 1
   */
  format_version!: number;

  /**
   * Id of the installation.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  installation_id!: string;

  /**
   * Opaque id of the erased account.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e50"
   */
  account_id!: string;

  /**
   * The requester: the account's owner or an administrator.
   * @example "owner"
   */
  requested_by!: 'owner' | 'administrator' | 'service-account';

  /**
   * Time of the request, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:00.000Z"
   */
  requested_at!: string;

  /**
   * Time at which the erasure was complete, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:01.000Z"
   */
  finished_at!: string;

  /**
   * Time at which the tier was determined, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:01.000Z"
   */
  issued_at!: string;

  /**
   * Number of erased rows, by kind.
   * @example { "sessions": 1, "sensitive-data": 12, "files": 3, "account": 1 }
   */
  @ApiProperty({ type: 'object', additionalProperties: { type: 'number' } })
  erased!: Readonly<Record<string, number>>;

  /**
   * `exact`, or `at_least` if a process died during the erasure.
   * @example "exact"
   */
  counts!: 'exact' | 'at_least';

  /**
   * `live`: no data is left in the installation, but older backups can be decrypted while a master
   * key version exists that wrapped the user key. `backups`: backups cannot be decrypted either.
   * @example "live"
   */
  tier!: 'live' | 'backups';

  user_key!: ErasedUserKeyDto;

  /**
   * Copies that the erasure does not reach.
   * @example ["snapshots of Vault from before the master key versions were destroyed"]
   */
  not_covered!: string[];
}

export class SignedReceiptDto {
  receipt!: ErasureReceiptDto;

  /**
   * Compact JWS (EdDSA) whose payload is the receipt. `npm run receipts -- verify` checks it
   * without the service.
   * @example "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"
   */
  signature!: string;
}

export class SubjectExportDto {
  /**
   * The id that the backend gave its end user.
   * @example "customer-4711"
   */
  subject!: string;

  /**
   * When the export began, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:00.000Z"
   */
  generated_at!: string;

  /** The subject's records, oldest first. */
  records!: SensitiveDataDto[];

  /** The subject's files, oldest first. Their contents are downloaded one by one. */
  files!: FileDto[];
}
