import { temporaryEmbedded } from '../support/collection-fixtures';
import { collectionContract } from './collection.contract';
import { sealedCollectionContract } from './sealed-collection.contract';

collectionContract('the embedded store', () => temporaryEmbedded({ sealed: false }));
collectionContract('the embedded store with seals', () => temporaryEmbedded({ sealed: true }));
sealedCollectionContract('the embedded store', () => temporaryEmbedded({ sealed: false }));
