import type { Principal } from '../../src/kernel';
import type { FileDoc } from '../../src/files/model/file.collection';
import type { FilesRig } from './files-rig';

/**
 * What a test sees of one owner's files: as their owner, and in the rows. `at` is asked at each
 * look, since each test has a rig of its own.
 */
export const filesLooks = (at: () => { readonly rig: FilesRig; readonly owner: Principal }) => ({
  text: async (id: string, version?: number): Promise<string> => {
    const { rig, owner } = at();
    return (await rig.download(owner, id, undefined, version)).toString();
  },

  rowOf: async (id: string): Promise<FileDoc> => {
    const row = await at().rig.rows.find('_id', id);
    if (row === undefined) throw new Error('no such row');
    return row;
  },

  bytesCounted: async (): Promise<number> => {
    const { rig, owner } = at();
    return (await rig.usageOf(owner.ownerId))?.bytes ?? 0;
  },

  /** Nothing is under way: no marks, no signs of life, no contents but the former ones. */
  atRest: async (): Promise<void> => {
    const { rig, owner } = at();
    expect((await rig.usageOf(owner.ownerId))?.marks).toEqual({});
    for (const row of await rig.allRows()) {
      expect(row.heartbeat_at).toBeUndefined();
      expect((row.others ?? []).every(({ state }) => state === 'former')).toBe(true);
    }
  },
});
