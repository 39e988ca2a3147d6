export { EmbeddedStore } from './embedded-store';
