export { KeyCache, type KeyCacheOptions } from './key-cache';
export * from './sealer';
export { StoredUserKeys } from './stored-user-keys';
export { UserKeyAccess } from './user-key-access';
export { type RewrapOutcome, UserKeyRewrapper } from './user-key-rewrapper';
export { UserKeySealer } from './user-key-sealer';
export { UserKeySweeper } from './user-key-sweeper';
export { userKeysCollection } from './user-keys.collection';
export { UserKeysModule } from './user-keys.module';
