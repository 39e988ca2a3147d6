export type { TransitConfig } from './transit-config';
export { TransitMasterKey } from './transit-master-key';
