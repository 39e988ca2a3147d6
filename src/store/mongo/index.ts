export { MongoStore } from './mongo-store';
export { type MongoAddress, MongoConnection } from './mongo-connection';
