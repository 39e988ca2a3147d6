import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isLong } from '../../../test/support/parts';

const support = join(__dirname, '../../../test/support');
const MIB = isLong() ? 4096 : 256;

describe('a big file', () => {
  it(`of ${MIB} MiB goes through encryption and decryption with less than 64 MiB more memory`, async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--require', join(support, 'typescript-hook.cjs'), join(support, 'stream-memory.ts')],
      { env: { ...process.env, COFFER_STREAM_MIB: String(MIB) }, timeout: 600_000 },
    );
    expect((JSON.parse(stdout) as { grownMiB: number }).grownMiB).toBeLessThan(64);
  }, 600_000);
});
