export { asOneOperation, inAttempts, isWithinOperation } from './operation-deadline';
export { KvDocuments, type KvDocument, VaultForbidden, VaultNoEngine } from './kv-documents';
export { ENOUGH_VERSIONS, tellKvSettings } from './kv-settings';
export { openVault } from './open-vault';
export { isTooSlow, unavailable, type VaultReply, VaultUnavailable } from './vault-api';
export { PartSize } from './part-size';
export { VaultSession } from './vault-session';
