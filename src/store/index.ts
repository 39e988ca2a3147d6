export * from './collection';
export * from './definition';
export { SealedStore, type SealedStoreHooks } from './sealed-store';
export { update } from './update';
