import { ArrayMaxSize, ArrayMinSize, IsArray, IsInt, IsString, Max, Min } from 'class-validator';
import { MaxLength, MayBeAbsent, MinLength } from '../http';

const MAX_SCOPES = 50;
const MAX_NAME = 100;
const MAX_NETWORKS = 50;
/** Ten years. */
const MAX_LIFE_SECONDS = 3_653 * 86_400;

export class NewServiceAccountDto {
  /**
   * What people call the backend.
   * @example "shop"
   */
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_NAME)
  name!: string;

  /**
   * What its keys may do. A scope is narrowed by a data type, or by a prefix of file names whose
   * other characters are percent-encoded.
   * @example ["sensitive-data:read", "sensitive-data:write:card_number", "files:write:invoice-", "subjects:create"]
   */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_SCOPES)
  @IsString({ each: true })
  scopes!: string[];
}

export class ServiceAccountDto {
  /**
   * Opaque id of the service account.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e51"
   */
  id!: string;

  /**
   * What people call the backend.
   * @example "shop"
   */
  name!: string;

  /**
   * What its keys may do.
   * @example ["sensitive-data:read", "subjects:create"]
   */
  scopes!: string[];

  /**
   * When it was made, ISO 8601 in UTC.
   * @example "2026-11-22T09:30:00.000Z"
   */
  created_at!: string;
}

export class ServiceAccountPageDto {
  /** Service accounts, oldest first. */
  items!: ServiceAccountDto[];

  /** For the next page; null at the end. */
  next_cursor!: string | null;
}

export class NewServiceKeyDto {
  /**
   * What the key is for.
   * @example "production"
   */
  @MayBeAbsent()
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_NAME)
  name?: string;

  /**
   * Seconds until the key ends; without it the key does not end.
   * @example 7776000
   */
  @MayBeAbsent()
  @IsInt()
  @Min(1)
  @Max(MAX_LIFE_SECONDS)
  expires_in?: number;

  /**
   * Addresses and networks in CIDR from which alone the key holds; without it from anywhere.
   * @example ["203.0.113.0/24", "2001:db8::/32"]
   */
  @MayBeAbsent()
  @IsArray()
  @ArrayMaxSize(MAX_NETWORKS)
  @IsString({ each: true })
  allowed_addresses?: string[];
}

export class NewPersonalKeyDto {
  /**
   * What the key is for.
   * @example "backup script"
   */
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_NAME)
  name!: string;

  /**
   * What the key may do with the caller's data.
   * @example ["sensitive-data:read", "files:read"]
   */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_SCOPES)
  @IsString({ each: true })
  scopes!: string[];

  /**
   * Seconds until the key ends; without it the key does not end.
   * @example 7776000
   */
  @MayBeAbsent()
  @IsInt()
  @Min(1)
  @Max(MAX_LIFE_SECONDS)
  expires_in?: number;
}

export class CreatedKeyDto {
  /**
   * Id of the key, which is a part of it.
   * @example "4fRk81bTqPzX0aLm"
   */
  id!: string;

  /**
   * The key, shown this once.
   * @example "cfk_EXAMPLE000000000_EXAMPLE0000000000000000000000000000000"
   */
  key!: string;

  /**
   * When it ends, ISO 8601 in UTC; null where it does not.
   * @example "2027-02-20T09:30:00.000Z"
   */
  expires_at!: string | null;
}

export class ApiKeyDto {
  /**
   * Id of the key, which is a part of it.
   * @example "4fRk81bTqPzX0aLm"
   */
  id!: string;

  /**
   * What the key is for; null where nobody said.
   * @example "production"
   */
  name!: string | null;

  /**
   * When it was made, ISO 8601 in UTC.
   * @example "2026-11-22T09:30:00.000Z"
   */
  created_at!: string;

  /**
   * When it ends, ISO 8601 in UTC; null where it does not.
   * @example "2027-02-20T09:30:00.000Z"
   */
  expires_at!: string | null;

  /**
   * The minute of its last use, ISO 8601 in UTC; null where it was never used.
   * @example "2026-11-23T14:05:00.000Z"
   */
  last_used_at!: string | null;

  /**
   * From where alone it holds; empty for anywhere.
   * @example ["203.0.113.0/24"]
   */
  allowed_addresses!: string[];
}

export class ApiKeyPageDto {
  /** The keys that hold, oldest first: ten at most. */
  items!: ApiKeyDto[];

  /** Always null: all keys are on the first page. */
  next_cursor!: string | null;
}

export class PersonalKeyDto extends ApiKeyDto {
  /**
   * What the key may do.
   * @example ["files:read"]
   */
  scopes!: string[];
}

export class PersonalKeyPageDto {
  /** The caller's keys that hold, oldest first: ten at most. */
  items!: PersonalKeyDto[];

  /** Always null: all keys are on the first page. */
  next_cursor!: string | null;
}

export class SubjectDto {
  /**
   * The id that the backend gave its end user; null where the stored id does not open.
   * @example "customer-4711"
   */
  external_id!: string | null;

  /**
   * When its first data was stored, ISO 8601 in UTC.
   * @example "2026-11-22T09:30:00.000Z"
   */
  created_at!: string;
}

export class SubjectPageDto {
  /** The service account's subjects, oldest first. */
  items!: SubjectDto[];

  /** For the next page; null at the end. */
  next_cursor!: string | null;
}
