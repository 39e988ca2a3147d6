export { ENVELOPE_OVERHEAD } from '../../crypto';
export { BackupExposure, type FormerWraps, type VersionFate, type WrapFate } from './backup-exposure';
export { type IsUsed, OLDEST, OrphanedKeys, OrphanedWraps, REGISTRATION_LIFE, UserKeySweeper } from './cleanup';
export { KeyCache, type KeyCacheOptions } from './key-cache';
export {
  type Renewal,
  type Renewed,
  renewRows,
  type SealedValues,
  valuesUnder,
  VersionCounts,
  versionIn,
} from './reencrypt-rows';
export { type RewrapBatch, UserKeyRewrap } from './rewrap';
export { openedName, type SealedInsert, Sealer } from './sealer';
export { type EncryptionContext, OwnerKeys, type SealPurpose } from './user-key-handle';
export { requireNextVersion, UserKeyRotator, type UserKeyState } from './user-key-rotator';
export { UserKeyService } from './user-key-service';
export { storedRow, type UserKeyDoc, userKeysCollection } from './user-keys.collection';
export { UserKeysModule } from './user-keys.module';
export { WrapPathConflict, WrapStore } from './wrap-store/wrap-store';
export { NamedRows, type WrapUse } from './wraps-in-use';
