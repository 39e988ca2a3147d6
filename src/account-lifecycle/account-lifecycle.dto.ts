import { ApiProperty } from '@nestjs/swagger';

export class FormerWrapDto {
  /**
   * A master key version that may have wrapped the user key.
   * @example 1
   */
  version!: number;

  /**
   * What has become of it: `opens` what it wrapped; `disabled`, which an operator can undo; `destroyed`; `unknown` where the key's home did not say.
   * @example "opens"
   */
  state!: 'opens' | 'disabled' | 'destroyed' | 'unknown';
}

export class ErasedUserKeyDto {
  /**
   * The key is gone from the installation.
   * @example "destroyed"
   */
  state!: 'destroyed';

  /**
   * Where the wrapped key lay: beside the documents, or in Vault.
   * @example "store"
   */
  kept_in!: 'store' | 'vault';

  /**
   * The home of the master key.
   * @example "transit"
   */
  master_key_home!: string;

  wrapped_by!: FormerWrapDto[];
}

export class ErasureReceiptDto {
  /**
   * What this is.
   * @example "coffer-erasure-receipt"
   */
  format!: string;

  /**
   * Version of the format.
   * @example 1
   */
  format_version!: number;

  /**
   * The installation in which it happened.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  installation_id!: string;

  /**
   * Opaque id of the account that was erased.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e50"
   */
  account_id!: string;

  /**
   * Who asked for it.
   * @example "owner"
   */
  requested_by!: 'owner' | 'administrator';

  /**
   * When it was asked for, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:00.000Z"
   */
  requested_at!: string;

  /**
   * When nothing of it was left, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:01.000Z"
   */
  finished_at!: string;

  /**
   * When the tier was looked at, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:01.000Z"
   */
  issued_at!: string;

  /**
   * Rows that went, by kind.
   * @example { "sessions": 1, "sensitive-data": 12, "files": 3, "account": 1 }
   */
  @ApiProperty({ type: 'object', additionalProperties: { type: 'number' } })
  erased!: Readonly<Record<string, number>>;

  /**
   * Whether the counts are exact; `at_least` where a process died on the way.
   * @example "exact"
   */
  counts!: 'exact' | 'at_least';

  /**
   * `live`: nothing is left in the installation, but older backups open while a master key version lives that wrapped the key. `backups`: they do
   * not open either.
   * @example "live"
   */
  tier!: 'live' | 'backups';

  user_key!: ErasedUserKeyDto;

  /**
   * What an erase does not reach.
   * @example ["snapshots of Vault from before the master key versions were destroyed"]
   */
  not_covered!: string[];
}

export class SignedReceiptDto {
  receipt!: ErasureReceiptDto;

  /**
   * Compact JWS (EdDSA) whose payload is the receipt: `npm run receipts -- verify` checks it without the service.
   * @example "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl"
   */
  signature!: string;
}
