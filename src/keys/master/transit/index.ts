export { TransitMasterKey } from './transit-master-key';
export type { TransitConfig } from './vault-session';
