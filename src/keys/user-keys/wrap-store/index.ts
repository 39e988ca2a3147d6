export { RoutedWrapStore } from './routed-wrap-store';
export { Immovable } from './wrap-relocation';
export { OwnerNames } from './wrap-store';
