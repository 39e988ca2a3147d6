export { createIndex } from './mongo-indexes';
export { MongoStore } from './mongo-store';
export { type MongoAddress, MongoConnection } from './mongo-connection';
