import { type OpenStore, temporaryAuthenticatedStore } from '../../test/support/sealed-store';
import { SystemClock } from '../kernel';
import { authenticatedDefinition } from '../store/row-mac';
import { RowShape } from '../store/row-shape';
import { apiKeysCollection } from './api-key.collection';
import { type ApiKeyRequest, ApiKeys } from './api-keys';

const request: ApiKeyRequest = {
  owner_id: 'shop',
  kind: 'service-account',
  scopes: ['files:read'],
  allowed_addresses: [],
  name: undefined,
  lifeMs: undefined,
};

/** More rows than one page of a removal holds, older than the key, none with a MAC of ours. */
const PLANTED = 150;

describe('The removal of all keys of an account', () => {
  let opened: OpenStore;
  let keys: ApiKeys;
  beforeEach(async () => {
    opened = await temporaryAuthenticatedStore();
    keys = new ApiKeys(opened.store, new SystemClock());
  });
  afterEach(() => opened.close());

  it('leaves none, also behind rows that somebody planted', async () => {
    const { text } = await keys.create(request);
    const raw = opened.engine.collection(authenticatedDefinition(new RowShape(apiKeysCollection)));
    const facts = { owner_id: 'shop', kind: 'person', scopes: '[]', allowed_addresses: '[]', secret_hash: '00' };
    for (let n = 0; n < PLANTED; n += 1) {
      await raw.insert({ _id: `planted-${n}`, ...facts, created_at: n, seal: '2:00' });
    }
    await keys.removeAll('shop');
    await expect(keys.verify(text, '127.0.0.1')).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
