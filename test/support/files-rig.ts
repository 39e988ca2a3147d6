import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChainedAuditSink } from '../../src/audit';
import { auditBatchesCollection } from '../../src/audit/audit.collection';
import { AuditEntry } from '../../src/audit/entry';
import { BlobStore } from '../../src/blobs';
import { FilesystemBlobStore } from '../../src/blobs/filesystem';
import { closeApp } from '../../src/bootstrap/create-app';
import { BlobOwnership } from '../../src/files/content/blob-ownership';
import { ContentStore } from '../../src/files/content/content-store';
import { QuotaLedger } from '../../src/files/content/quota-ledger';
import { UploadFields, parseContent, parseUpload } from '../../src/files/http/request/upload-fields';
import { FilesSweeper } from '../../src/files/maintenance/sweeper';
import { FileView } from '../../src/files/model/file';
import { FileDoc, fileCollection } from '../../src/files/model/file.collection';
import { FileAccess } from '../../src/files/operations/access';
import { CreateFile } from '../../src/files/operations/create-file';
import { DeleteFile, FileRemoval } from '../../src/files/operations/delete-file';
import { FileVersions } from '../../src/files/operations/file-versions';
import { GetFile } from '../../src/files/operations/get-file';
import { ListFiles } from '../../src/files/operations/list-files';
import { PendingFiles } from '../../src/files/operations/pending-file';
import { RekeyFile } from '../../src/files/operations/rekey-file';
import { ReplaceContent } from '../../src/files/operations/replace-content';
import { StagedContents } from '../../src/files/operations/staged-content';
import { UpdateFile } from '../../src/files/operations/update-file';
import { VerifyFile } from '../../src/files/operations/verify-file';
import { FilesUserData } from '../../src/files/user-data';
import { AuditSink, Clock, Person, Principal, burstsOf, newId } from '../../src/kernel';
import { MasterKey } from '../../src/keys/master-key';
import { Sealer, UserKeyService } from '../../src/keys/user-keys';
import { DamageReports, Metrics } from '../../src/observability';
import { FileUsageDoc, fileUsageCollection } from '../../src/quota';
import { GrantAccess, GrantedResources, Grants, ReceivedGrants, SharingUserData } from '../../src/sharing';
import { GroupMembers } from '../../src/sharing/groups/group-members';
import { GroupRemoval, GroupsSweeper } from '../../src/sharing/groups/group-removal';
import { Groups } from '../../src/sharing/groups/groups';
import { OwnMemberships } from '../../src/sharing/groups/memberships';
import { Collection, CollectionDefinition, Doc, Store } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { Users } from '../../src/users';
import { Getter, openApp } from './open-app';
import { person } from './person';
import { addUserKeyVersion as addVersion } from './user-key-version';

/** Time that a test moves on. */
export class MovingClock extends Clock {
  #ahead = 0;

  now(): number {
    return Date.now() + this.#ahead;
  }

  override elapsed(): number {
    return performance.now() + this.#ahead;
  }

  forward(ms: number): void {
    this.#ahead += ms;
  }

  reset(): void {
    this.#ahead = 0;
  }
}

export interface RigOptions {
  readonly maxSize?: number;
  readonly userQuota?: number;
  /** How long the cache holds a user key. 0: each use unwraps. */
  readonly cacheSeconds?: number;
  readonly trashDays?: number;
  /** False for a test of what the process itself keeps, as its figures. */
  readonly isShared?: boolean;
  /** In place of the blob store that the rig makes: to stand in its way. */
  readonly blobs?: (real: BlobStore) => BlobStore;
}

const idle = new Map<string, Made[]>();

afterAll(async () => {
  const rigs = [...idle.values()].flat();
  idle.clear();
  await Promise.all(rigs.map((rig) => rig.dispose()));
});

type Made = Awaited<ReturnType<typeof makeRig>>;

export type FilesRig = Omit<Made, 'reset' | 'dispose'> & { close(): Promise<void> };

/**
 * The application on the embedded store, the local keyring and a folder of blobs, without requests
 * and schedules. A rig that was closed is emptied and given to the next test with the same options:
 * making an application costs more than most of the tests.
 */
export async function openFilesRig(options: RigOptions = {}): Promise<FilesRig> {
  const isShared = options.blobs === undefined && options.isShared !== false;
  const key = JSON.stringify(options);
  const rig = (isShared && idle.get(key)?.pop()) || (await makeRig(options));
  const close = async (): Promise<void> => {
    if (!isShared) return rig.dispose();
    await rig.reset();
    idle.set(key, [...(idle.get(key) ?? []), rig]);
  };
  return { ...rig, close };
}

/** What the application is opened with, and the log, whose chain goes on. */
const KEPT = ['installation', 'system_keys', 'master_key', 'audit', 'audit_writers'];

/** An embedded store that can be emptied of all that users own. */
class EmptiableStore extends EmbeddedStore {
  readonly #definitions = new Map<string, CollectionDefinition<Doc>>();

  override collection<T extends Doc>(definition: CollectionDefinition<T>): Collection<T> {
    if (!this.#definitions.has(definition.name))
      this.#definitions.set(definition.name, definition as unknown as CollectionDefinition<Doc>);
    return super.collection(definition);
  }

  async empty(): Promise<void> {
    for (const definition of this.#definitions.values()) {
      if (KEPT.includes(definition.name)) continue;
      const rows = super.collection(definition);
      for (;;) {
        const { items } = await rows.list('_id', [], { limit: 1000 });
        if (items.length === 0) break;
        await Promise.all(items.map(({ _id }) => rows.remove(_id)));
      }
    }
  }
}

async function makeRig(options: RigOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-files-'));
  const clock = new MovingClock();
  const engine = new EmptiableStore(join(folder, 'store'), clock);
  const app = await openApp(environment(folder, options), { clock, store: engine, blobs: options.blobs });
  const get: Getter = (token) => app.get(token, { strict: false });
  const parts = { ...fileParts(get), sharing: sharingParts(get), engine };
  const { store, audit, uploads, replacements, files, sweeper, userKeys } = parts;
  const masterKey = get(MasterKey);
  const blobFolder = join(folder, 'blobs');
  const diskBlobs = new FilesystemBlobStore(blobFolder);
  const rows = store.collection(fileCollection);

  async function newOwner(): Promise<Person> {
    const userId = newId();
    await userKeys.create(userId, userId);
    return person(userId, { username: 'owner', authTime: clock.now() });
  }

  async function upload(owner: Principal, name: string, content: Chunks, more: UploadFields = {}): Promise<FileView> {
    return uploads.upload(owner, parseUpload({ name, ...more }, 'form'), burstsOf(chunksOf(content)), undefined);
  }

  /** A new version, whatever the file is now. */
  async function replace(owner: Principal, id: string, content: Chunks, more: UploadFields = {}): Promise<FileView> {
    const arriving = { body: burstsOf(chunksOf(content)), declaredBytes: undefined };
    const target = await parts.access.owned(owner, { id });
    const row = await replacements.replace(owner, target, parseContent(more, 'form'), arriving, () => undefined);
    return files.view(row);
  }

  async function download(
    owner: Principal,
    id: string,
    range?: { start: number; end: number },
    version?: number,
  ): Promise<Buffer> {
    const stream = await (await files.content(owner, { id }, { form: 'clear', version })).open(range);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  const addUserKeyVersion = (ownerId: string): Promise<void> => addVersion({ store, masterKey }, ownerId);

  const allRows = async (): Promise<readonly FileDoc[]> => (await rows.list('_id', [], { limit: 1000 })).items;
  const usageOf = (ownerId: string): Promise<FileUsageDoc | undefined> =>
    store.collection(fileUsageCollection).find('_id', ownerId);

  async function blobIds(): Promise<string[]> {
    const ids: string[] = [];
    for await (const id of diskBlobs.list()) ids.push(id);
    return ids;
  }

  /** As if the blob had been written `ms` ago. */
  async function ageBlob(id: string, ms: number): Promise<void> {
    const then = new Date(Date.now() - ms);
    await utimes(join(blobFolder, id.slice(0, 2), id), then, then);
  }

  /** Entries since the rig was opened: the chain of a rig that was open before goes on. */
  async function auditEntries(): Promise<readonly AuditEntry[]> {
    await audit.onApplicationShutdown();
    const batches = await store.collection(auditBatchesCollection).list('time', [], { limit: 1000 });
    return batches.items
      .filter(({ _id }) => !former.has(_id))
      .flatMap(({ entries }) => JSON.parse(entries) as AuditEntry[]);
  }
  const former = new Set<string>();

  /** Two turns of the sweeper with `ms` between them: what stayed silent for so long is dead. */
  async function sweepAfter(ms: number): Promise<void> {
    await sweeper.sweep();
    clock.forward(ms);
    await sweeper.sweep();
  }

  /** Nothing of any file is left: no row, no blob, not even a part of one. */
  async function isEmpty(): Promise<boolean> {
    const partial = await readdir(join(blobFolder, 'partial')).catch(() => []);
    return (await allRows()).length + (await blobIds()).length + partial.length === 0;
  }

  async function reset(): Promise<void> {
    await audit.onApplicationShutdown();
    const batches = await store.collection(auditBatchesCollection).list('time', [], { limit: 1000 });
    for (const { _id } of batches.items) former.add(_id);
    await engine.empty();
    for await (const id of diskBlobs.list()) await diskBlobs.remove(id);
    await rm(join(blobFolder, 'partial'), { recursive: true, force: true });
    await mkdir(join(blobFolder, 'partial'), { mode: 0o700 });
    clock.reset();
  }

  const dispose = async (): Promise<void> => {
    await closeApp(app);
    await rm(folder, { recursive: true, force: true });
  };

  return {
    ...parts,
    ...{ folder, clock, rows, blobFolder, newOwner, upload, replace, download, addUserKeyVersion },
    ...{ allRows, usageOf, blobIds, ageBlob, auditEntries, isEmpty, sweepAfter, reset, dispose },
  };
}

/**
 * Secrets that are given are not generated, and a secret that is generated is synced to the disk.
 */
const SECRET = 'a secret of a test that is long enough';

const environment = (folder: string, { maxSize, userQuota, trashDays, cacheSeconds }: RigOptions) => ({
  ...{ DATA_DIR: folder, JWT_SECRET: SECRET, PEPPER: SECRET, COFFER_ROOT_KEY: SECRET },
  ...(maxSize !== undefined && { MAX_FILE_SIZE: String(maxSize) }),
  ...(userQuota !== undefined && { USER_QUOTA: String(userQuota) }),
  ...(trashDays !== undefined && { TRASH_DAYS: String(trashDays) }),
  ...(cacheSeconds !== undefined && { KMS_CACHE_SECONDS: String(cacheSeconds) }),
});

const fileParts = (get: Getter) => ({
  store: get(Store),
  blobs: get(BlobStore),
  audit: get(AuditSink) as ChainedAuditSink,
  metrics: get(Metrics),
  damage: get(DamageReports),
  usage: get(QuotaLedger),
  userKeys: get(UserKeyService),
  sealer: get(Sealer),
  refs: get(BlobOwnership),
  removal: get(FileRemoval),
  newFiles: get(PendingFiles),
  contents: get(ContentStore),
  uploads: get(CreateFile),
  access: get(FileAccess),
  files: get(GetFile),
  incoming: get(StagedContents),
  replacements: get(ReplaceContent),
  versions: get(FileVersions),
  changes: get(UpdateFile),
  deletion: get(DeleteFile),
  rekeying: get(RekeyFile),
  verification: get(VerifyFile),
  listing: get(ListFiles),
  sweeper: get(FilesSweeper),
  owned: get(FilesUserData),
});

const sharingParts = (get: Getter) => ({
  users: get(Users),
  removal: get(GroupRemoval),
  groups: get(Groups),
  members: get(GroupMembers),
  grants: get(Grants),
  access: get(GrantAccess),
  granted: get(GrantedResources),
  received: get(ReceivedGrants),
  ownMemberships: get(OwnMemberships),
  sweeper: get(GroupsSweeper),
  owned: get(SharingUserData),
});

export type Chunks = Buffer | string | AsyncIterable<Buffer>;

async function* chunksOf(content: Chunks): AsyncGenerator<Buffer> {
  if (typeof content === 'string' || Buffer.isBuffer(content)) {
    await Promise.resolve();
    yield Buffer.from(content);
  } else yield* content;
}
