export { LocalMasterKey } from './local-master-key';
