import { DomainError, Person, Principal, newId } from '../../src/kernel';
import { Resource, grantCollection } from '../../src/sharing/grants/grant.collection';
import { UNTRIED, usersCollection, type UserDoc } from '../../src/users';
import { FilesRig, openFilesRig } from './files-rig';

/** The rig of the test that runs: a live binding. */
export let rig: FilesRig;

/** Opens a rig before each test and closes it afterwards. */
export function useSharingRig(): void {
  beforeEach(async () => {
    rig = await openFilesRig();
  });
  afterEach(() => rig.close());
}

export interface Someone extends Person {
  readonly row: UserDoc;
}

export async function someone(username: string, fields: Partial<UserDoc> = {}): Promise<Someone> {
  const principal = await rig.newOwner();
  const row = await rig.store.collection(usersCollection).insert({
    ...{ _id: principal.ownerId, username, email: `${username}@example.org`, hashed_password: '', salt: '' },
    ...{ role: 'user', state: 'active', created_at: rig.clock.now() },
    ...UNTRIED,
    ...fields,
  });
  return { ...principal, username, row };
}

export const change = (user: Someone, fields: Partial<UserDoc>) =>
  rig.sharing.users.change(user.ownerId, (row) => ({ ...row, ...fields }));
export const thing = (owner: Principal): Resource => ({ type: 'thing', id: newId(), ownerId: owner.ownerId });
export const grants = () => rig.store.collection(grantCollection);
export const sees = (user: Principal, resource: Resource) => rig.sharing.access.admits(user.ownerId, resource);
export const refused = (code: string) => expect.objectContaining({ code }) as DomainError;
export const names = async (user: Principal, limit = 50, after?: string) =>
  (await rig.sharing.granted.list(user.ownerId, { type: 'thing', limit, after })).resources.map(({ id }) => id);

/** An owner, somebody to grant to, a stranger, and a thing of the owner's. */
export async function three() {
  const [owner, friend, stranger] = [await someone('owner'), await someone('friend'), await someone('stranger')];
  return { owner, friend, stranger, resource: thing(owner) };
}
