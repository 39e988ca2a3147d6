export type { TransitConfig } from './transit-key';
export { TransitMasterKey } from './transit-master-key';
