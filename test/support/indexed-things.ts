import { defineCollection } from '../../src/store';
import { thingDefinition, type ThingDoc } from '../contract/collection/things';

/** `things` as a former release has it. */
export const plainThings = defineCollection<ThingDoc>({ ...thingDefinition('things'), indexes: {} });
/** As a newer release has it. */
export const indexedThings = defineCollection<ThingDoc>({
  ...plainThings,
  indexes: { byEmail: { fields: ['email'], unique: true }, byOwner: { fields: ['owner', 'size'] } },
});
