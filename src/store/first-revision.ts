import { randomSecret } from '../crypto';
import type { CollectionDefinition, Doc } from './definition';

/** Bytes of a random first revision: far below the largest safe integer, and never drawn twice for one id. */
const RANDOM_BYTES = 6;

/** The revision at which a new row of the collection begins: 1, or a random one where ids come again. */
export const firstRevision = <T extends Doc>({ reusesIds }: CollectionDefinition<T>): number =>
  reusesIds === true ? randomSecret(RANDOM_BYTES).readUIntBE(0, RANDOM_BYTES) + 1 : 1;
