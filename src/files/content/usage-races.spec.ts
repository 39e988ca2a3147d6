import { startActor } from '../../../test/support/actors';
import {
  type OpenStore,
  openAuthenticatedStore,
  temporaryAuthenticatedStore,
} from '../../../test/support/sealed-store';
import { usageParts } from '../../../test/support/usage';
import { SystemClock, newId } from '../../kernel';
import { fileUsageCollection } from '../../quota';
import { QuotaLedger } from './quota-ledger';

let open: OpenStore;
beforeEach(async () => {
  open = await temporaryAuthenticatedStore();
});
afterEach(() => open.close());

const rows = () => open.store.collection(fileUsageCollection);

describe('the sum of an owner', () => {
  it('is kept by two processes of many uploads each, none of which is refused', async () => {
    const owner = newId();
    await rows().insert({ _id: owner, bytes: 1, marks: {} });
    const actors = [1, 2].map(() => startActor('usage-writer', open.folder, owner, '600', '64'));
    await Promise.all(actors.map(({ exited }) => exited));
    for (const actor of actors) expect(actor.output()).toBe('counted 600 refused none\n');
    expect(await rows().find('_id', owner)).toMatchObject({ bytes: 1_201, marks: {} });
  });

  it('refuses no upload of a process for the others, and none of them passes the quota', async () => {
    const owner = newId();
    await rows().insert({ _id: owner, bytes: 100, marks: {} });
    const ledgers = [open.store, openAuthenticatedStore(open.folder).store].map(
      (store) => new QuotaLedger(store, new SystemClock(), ...usageParts(store, { userQuota: 400 })),
    );
    const outcomes = await Promise.allSettled(
      Array.from({ length: 400 }, (_, at) => ledgers[at % 2]!.add(owner, `f${at}`, 1)),
    );
    const codes = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [(outcome.reason as { code: string }).code] : [],
    );
    expect(codes).toEqual(Array(100).fill('quota_exceeded'));
    expect(await rows().find('_id', owner)).toMatchObject({ bytes: 400 });
  });
});
