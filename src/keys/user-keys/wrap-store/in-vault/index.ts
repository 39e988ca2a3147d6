export { VaultWrapStore } from './vault-wrap-store';
