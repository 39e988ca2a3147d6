import { temporaryEmbedded } from '../support/collection-fixtures';
import { collectionContract } from './collection.contract';
import { sealedCollectionContract } from './sealed-collection.contract';

collectionContract('the embedded store', () => temporaryEmbedded({ authenticated: false }));
collectionContract('the embedded store with seals', () => temporaryEmbedded({ authenticated: true }));
sealedCollectionContract('the embedded store', () => temporaryEmbedded({ authenticated: false }));
