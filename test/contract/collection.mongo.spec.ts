import { temporaryMongo } from '../support/collection-fixtures';
import { describeWithPart } from '../support/parts';
import { collectionContract } from './collection.contract';
import { sealedCollectionContract } from './sealed-collection.contract';

describeWithPart('secantus', 'mongoose over the wire', () => {
  collectionContract('MongoDB', () => temporaryMongo({ authenticated: false }));
  collectionContract('MongoDB with seals', () => temporaryMongo({ authenticated: true }));
  sealedCollectionContract('MongoDB', () => temporaryMongo({ authenticated: false }));
});
