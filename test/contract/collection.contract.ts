import { newId } from '../../src/kernel';
import { type Collection, type Store } from '../../src/store';
import { findingContract } from './collection/finding';
import { listingContract } from './collection/listing';
import { sharingContract } from './collection/sharing';
import { type CollectionFixture, thingDefinition, type ThingDoc } from './collection/things';
import { writingContract } from './collection/writing';

const START_LIMIT = 60_000;

/**
 * What each engine must do, with seals and without. Each test has a collection of its own, so none
 * waits for or sees another.
 */
export function collectionContract(name: string, open: () => Promise<CollectionFixture>): void {
  describe(`the collection contract on ${name}`, () => {
    let fixture: CollectionFixture;
    let things: Collection<ThingDoc>;
    const prepared = {
      get fixture(): CollectionFixture {
        return fixture;
      },
      get store(): Store {
        return fixture.store;
      },
      get things(): Collection<ThingDoc> {
        return things;
      },
      add: (fields: Partial<ThingDoc> = {}) => things.insert({ _id: newId(), owner: 'ada', ...fields }),
    };

    beforeAll(async () => {
      fixture = await open();
    }, START_LIMIT);
    afterAll(() => fixture.close());
    beforeEach(async () => {
      things = fixture.store.collection(thingDefinition());
      await fixture.store.prepare();
    });

    findingContract(prepared);
    writingContract(prepared);
    listingContract(prepared);
    sharingContract(prepared);

    it('answers a ping', async () => {
      await expect(fixture.store.ping()).resolves.toBeUndefined();
    });
  });
}
