export {
  ENOUGH_VERSIONS,
  type KvDocument,
  KvDocuments,
  tellKvSettings,
  VaultForbidden,
  VaultNoEngine,
} from './kv-documents';
export { asOneOperation, inAttempts, isWithinOperation, PartSize } from './operation-deadline';
export { isTooSlow, unavailable, type VaultReply, VaultUnavailable } from './vault-api';
export { openVault, VaultSession } from './vault-session';
