export { OwnerNames } from './owner-names';
export { Immovable } from './wrap-relocation';
export { RoutedWrapStore } from './routed-wrap-store';
