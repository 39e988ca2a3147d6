import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signUp } from './accounts';
import { Client } from './client';
import { blobFiles } from './raw-http';
import { type Service, startService } from './service';
import { type SmallDisk, smallDisk } from './small-disk';

const MEBIBYTES = 16;

/** A service whose blobs lie on a small disk of their own, and somebody who uses it. */
export interface OnSmallDisk {
  readonly disk: SmallDisk;
  readonly service: Service;
  readonly client: Client;
  /** Every blob, finished or not. */
  readonly blobs: () => Promise<string[]>;
  dispose(): Promise<void>;
}

export async function installOnSmallDisk(env: Readonly<Record<string, string>> = {}): Promise<OnSmallDisk> {
  const disk = smallDisk(MEBIBYTES);
  const dataDir = await mkdtemp(join(tmpdir(), 'coffer-full-'));
  await symlink(disk.path, join(dataDir, 'blobs'));
  const service = await startService({ dataDir, env });
  return {
    disk,
    service,
    client: (await signUp(new Client(service.url))).client,
    blobs: async () => (await blobFiles(dataDir)).filter((path) => !path.endsWith('ballast')),
    dispose: async () => {
      await service.dispose();
      disk.remove();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
