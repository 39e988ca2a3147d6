import { randomUUID } from 'node:crypto';
import { type Collection, defineCollection, type Doc, type Store, plain } from '../../../src/store';

export interface CollectionFixture {
  readonly store: Store;
  /** The same rows without their seals: what somebody with write access to the database sees. */
  readonly engine: Store;
  /** A second process's view: the same rows through a store of its own. */
  another(): Promise<Store>;
  close(): Promise<void>;
}

export interface ThingDoc extends Doc {
  readonly owner: string;
  readonly kind?: string;
  readonly size?: number;
  readonly open?: boolean;
  readonly at?: number;
  readonly email?: string;
  readonly notes?: object;
}

/** A collection of its own for each test, so that tests neither wait for nor see each other. */
export const thingDefinition = (name = `things_${randomUUID().slice(0, 8)}`) =>
  defineCollection<ThingDoc>({
    name,
    fields: {
      owner: plain.string,
      kind: plain.string,
      size: plain.number,
      open: plain.boolean,
      at: plain.time,
      email: plain.string,
      notes: plain.json,
    },
    indexes: {
      byEmail: { fields: ['email'], unique: true },
      byOwner: { fields: ['owner'] },
      byOwnerKindSize: { fields: ['owner', 'kind', 'size'] },
      bySize: { fields: ['size'] },
      byOpen: { fields: ['open'] },
      byTime: { fields: ['at'] },
      byOwnerKind: { fields: ['kind', 'owner'], unique: true },
    },
    tampered: 'refuse',
  });

/**
 * What a client may send where a key is expected, and what engines might take for something other
 * than text.
 */
export const AWKWARD_TEXTS = [
  '__proto__',
  'constructor',
  '$ne',
  '$where',
  'a.b.c',
  '',
  ' ',
  '.',
  '$',
  '\u0000',
  'a\u0000b',
  'a\u0000',
  '\u0001',
  '\u00ff',
  '\uffff',
  'null',
  'true',
  '0',
  '{"$ne":null}',
  'Grüße',
  'Gru\u0308ße',
  '日本語',
  '👩‍👩‍👧',
  'é'.repeat(300),
  'x'.repeat(2_000),
  'x'.repeat(2_001),
];

export const ids = (docs: readonly Doc[]): string[] => docs.map(({ _id }) => _id);

/** What a test finds prepared: a fresh collection in the store under test. */
export interface Prepared {
  readonly fixture: CollectionFixture;
  readonly store: Store;
  readonly things: Collection<ThingDoc>;
  add(fields?: Partial<ThingDoc>): Promise<ThingDoc>;
}

/** Each kind of call that a job makes. */
export const eachCall = (things: Collection<ThingDoc>, doc: ThingDoc): Promise<unknown>[] => [
  things.find('_id', '1'),
  things.findLinearizable('1'),
  things.list('byOwner', ['ada'], { limit: 5 }),
  things.count('byOwner', ['ada']),
  things.insert({ _id: '2', owner: 'ada' }),
  things.replace(doc),
  things.replaceMany([doc]),
  things.remove('1'),
];
