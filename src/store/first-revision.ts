import { randomSecret } from '../crypto';
import type { CollectionDefinition, Doc } from './definition';

/**
 * Bytes of a random first revision: far below the largest safe integer, and practically unique for
 * one id.
 */
const RANDOM_BYTES = 6;

/** The first revision of a new row: 1, or a random one if the collection reuses ids. */
export const firstRevision = <T extends Doc>({ reusesIds }: CollectionDefinition<T>): number =>
  reusesIds === true ? randomSecret(RANDOM_BYTES).readUIntBE(0, RANDOM_BYTES) + 1 : 1;
