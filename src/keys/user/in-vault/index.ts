export { VaultUserKeyHome } from './vault-user-key-home';
