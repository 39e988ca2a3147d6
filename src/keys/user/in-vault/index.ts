export { VaultWrapStore } from './vault-user-key-home';
