export { MongoStore } from './mongo-store';
export { type MongoAddress } from './mongo-connection';
