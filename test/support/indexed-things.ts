import { type CollectionDefinition } from '../../src/store';
import { thingDefinition, type ThingDoc } from '../contract/collection/things';

/** `things` as a former release has it. */
export const plainThings: CollectionDefinition<ThingDoc> = { ...thingDefinition('things'), indexes: {} };
/** As a newer release has it. */
export const indexedThings: CollectionDefinition<ThingDoc> = {
  ...plainThings,
  indexes: { byEmail: { fields: ['email'], unique: true }, byOwner: { fields: ['owner', 'size'] } },
};
