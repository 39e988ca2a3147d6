import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describeWithParts, hasPart, isLong, startS3, startVersitygw } from './parts';
import type { Service } from './service';

/** Where the blobs of a service lie. */
export interface BlobLocationName {
  /** What the service takes. */
  readonly env: Readonly<Record<string, string>>;
  /** How many MiB a test may send that sends many. */
  readonly muchMiB: number;
  /** Through how many files or connections the service is reading blobs. */
  held(service: Service): number;
  stop(): Promise<void>;
}

/** Runs a suite on the file system, and again on S3. */
export function describeOnBlobPlaces(name: string, suite: (start: () => Promise<BlobLocationName>) => void): void {
  describe(`${name}, with blobs on the file system`, () => suite(() => Promise.resolve(onFileSystem)));
  describeWithParts(['moto'], `${name}, with blobs on S3`, () => suite(onS3));
}

const onFileSystem: BlobLocationName = {
  env: {},
  muchMiB: isLong() ? 2048 : 512,
  held: ({ pid }) => openFiles(pid).filter((path) => path.includes('/blobs/')).length,
  stop: () => Promise.resolve(),
};

/** versitygw where it is installed: moto is slow, and has all objects in memory. */
async function onS3(): Promise<BlobLocationName> {
  const fast = hasPart('versitygw');
  const server = await (fast ? startVersitygw() : startS3());
  const much = fast ? 256 : 64;
  return {
    env: server.env(),
    muchMiB: isLong() ? 8 * much : much,
    held: () => unreadConnections(server.port),
    stop: () => server.stop(),
  };
}

function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return [readlinkSync(`${folder}/${fd}`)];
    } catch {
      return [];
    }
  });
}

/**
 * Connections to a port of this machine with bytes that nobody reads: idle ones are kept on purpose
 * and have none.
 */
function unreadConnections(port: number): number {
  const to = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  const ours = lines.map((line) => line.trim().split(/\s+/)).filter(([, , remote]) => remote?.endsWith(`:${to}`));
  return ours.filter(([, , , , queues]) => Number.parseInt(queues?.split(':')[1] ?? '0', 16) > 0).length;
}
