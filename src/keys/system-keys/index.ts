export { openKeys, SystemKeys, type SystemRewrap } from './system-keys';
export { SYSTEM_KEY_NAMES, type SystemKeyName, systemKeysCollection } from './system-keys.collection';
