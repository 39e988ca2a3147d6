export { StoreUserKeyHome } from './store-user-key-home';
