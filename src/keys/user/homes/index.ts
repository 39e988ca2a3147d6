export { OwnerNames } from './owner-names';
export { Immovable } from './user-key-mover';
export { RoutedWrapStore } from './user-key-homes';
