import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BlobMigration, BlobRelocations, MoveProgress, RelocatableBlobStore } from '../../blobs/relocation';
import { Startup } from '../../bootstrap/startup';
import type { BlobStoreName } from '../../config';
import { sha256Stream } from '../../crypto';
import { AuditSink, SECOND, StartupError, audited } from '../../kernel';
import { withService } from '../app';
import { progressLine } from '../progress';

/** Works where the start refuses the blob store of this environment. */
export const adopt = (): Promise<string> => withService(adoptIn, { repair: true });

export const migrate = (to: BlobStoreName): Promise<string> => withService((app) => migrateIn(app, to));

async function adoptIn(app: NestFastifyApplication): Promise<string> {
  const intent = { action: 'blobs.adopt', actor: 'system:blobs-cli' } as const;
  const names = await audited(app.get(AuditSink), intent, () =>
    app.get(RelocatableBlobStore).adopt(app.get(Startup).installationId),
  );
  const where = `${names.join(' and ')} as this environment names it`;
  return `The blobs of this installation lie in ${where}, whatever is there. Restart the service, then POST /scrubs.\n`;
}

async function migrateIn(app: NestFastifyApplication, to: BlobStoreName): Promise<string> {
  const migration = new BlobMigration(app.get(RelocatableBlobStore), app.get(BlobRelocations), sha256Stream);
  const intent = { action: 'blobs.migrate', actor: 'system:blobs-cli', resource: `blob-store/${to}` } as const;
  const show = progressPrinter();
  return audited(app.get(AuditSink), intent, async () => {
    const { done, failed, bytes, from } = await migration.run(to, show);
    process.stderr.write(done > 0 && process.stderr.isTTY ? '\n' : '');
    if (failed > 0) throw new StartupError(`${failed} blobs could not be moved from ${from} to ${to}: run it again.`);
    if (from === to) return `Blobs lie in ${to} already.\n`;
    return `Moved ${done} blobs of ${bytes} bytes from ${from} to ${to}. Set BLOB_STORE=${to} now.\n`;
  });
}

/** A bar on a terminal, now and then a line elsewhere. */
function progressPrinter(): (progress: MoveProgress) => void {
  const { isTTY, columns } = process.stderr;
  const pause = isTTY ? SECOND / 10 : 5 * SECOND;
  let shownAt = 0;
  return ({ done, total, failed }) => {
    const isLast = done + failed >= total;
    if (total === 0 || (!isLast && Date.now() - shownAt < pause)) return;
    shownAt = Date.now();
    const line = progressLine(done, total, failed, (columns || 100) - 1);
    process.stderr.write(isTTY ? `\r${line}\u001b[K` : `${line}\n`);
  };
}
