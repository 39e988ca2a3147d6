export { OwnerNames } from './owner-names';
export { Immovable } from './user-key-mover';
export { UserKeyHomes } from './user-key-homes';
