import { fork } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasPart } from '../test/support/installed';
import { startVersitygw } from '../test/support/s3';
import type { BlobTimes } from './blob-stores-process';
import { Figure, round, shareOfRate } from './figures';
import { answered } from './server-process';

const LEAST_SHARE = 0.7;
const MOST_MEMORY = 64;

/**
 * The blob store on S3 against the same server reached directly. The server keeps its objects below
 * BENCH_DIR.
 */
export async function blobFigures(mib: number): Promise<Figure[]> {
  if (!hasPart('versitygw')) return [notMeasured];
  const server = await startVersitygw(process.env['BENCH_DIR'] ?? tmpdir());
  try {
    const env = { PATH: process.env['PATH'], BENCH_S3: JSON.stringify({ address: server.address('bench'), mib }) };
    const child = fork(join(__dirname, 'blob-stores-process.js'), { env, execArgv: ['--expose-gc'] });
    const times = await answered<BlobTimes>(child, 'blobs');
    return [
      ratio(`put of ${mib} MiB on S3`, times.direct.put, times.store.put, mib),
      ratio(`get of ${mib} MiB on S3`, times.direct.get, times.store.get, mib),
      memory(times),
    ];
  } finally {
    await server.stop();
  }
}

const notMeasured: Figure = {
  name: 'blobs on S3',
  measured: 'not measured: versitygw is not installed (node scripts/parts.mjs --bench)',
  promised: `at least ${LEAST_SHARE}`,
  holds: undefined,
  raw: {},
};

const ratio = (name: string, direct: readonly number[], store: readonly number[], mib: number): Figure =>
  shareOfRate(name, mib, LEAST_SHARE, [
    { name: 'store', seconds: store },
    { name: 'direct', seconds: direct },
  ]);

function memory({ growth, puts, each }: BlobTimes): Figure {
  const most = Math.max(...growth);
  return {
    name: `memory of ${puts} puts of ${each} MiB on S3 at once`,
    measured: `${round(most, 0)} MiB more`,
    promised: `at most ${MOST_MEMORY} MiB`,
    holds: most <= MOST_MEMORY,
    raw: { growth_mib: growth },
  };
}
