import { RowWrapStore } from '../support/row-wrap-store';
import { userKeyHomeContract } from './wrap-store.contract';

userKeyHomeContract('in the rows of the store', () =>
  Promise.resolve({ open: () => Promise.resolve(new RowWrapStore()), close: () => Promise.resolve() }),
);
