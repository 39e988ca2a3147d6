export { type KvConfig, KvMasterKey, type KvOptions } from './kv-master-key';
