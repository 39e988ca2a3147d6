import { RowWrapStore } from '../support/store-user-key-home';
import { userKeyHomeContract } from './user-key-home.contract';

userKeyHomeContract('in the rows of the store', () =>
  Promise.resolve({ open: () => Promise.resolve(new RowWrapStore()), close: () => Promise.resolve() }),
);
