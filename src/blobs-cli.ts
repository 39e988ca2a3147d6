import 'reflect-metadata';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BlobMigration, BlobRelocations, RelocatableBlobStore, MoveProgress } from './blobs/relocation';
import { BLOB_STORES } from './config';
import { sha256Stream } from './crypto';
import { AuditSink, SECOND, StartupError, audited } from './kernel';
import { progressLine } from './progress-bar';
import { Startup } from './startup';
import { WrongUsage, runTool } from './tool';
import { withService } from './with-service';

const HELP = `Usage: coffer-server blobs COMMAND   (in a clone: npm run blobs -- COMMAND)

  migrate --to s3|gridfs|filesystem
             moves all blobs (encrypted contents of files) to that store while the service goes on. Every process of the service must
             have the variables of both stores first (S3_BUCKET and its companions). May be stopped at any time and run again
  adopt      takes the blob store of this environment for that of the installation, although it does not have the mark that the
             installation left: for blobs that were copied without it, or are lost for good. Files whose blobs are missing answer 422
  --help     shows this

It reads the same environment as the service. Afterwards set BLOB_STORE to the new store. docs/operations.md, "Moving blobs".
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
`;

async function main(args: readonly string[]): Promise<string> {
  if (args.includes('--help') || args.includes('-h')) return HELP;
  if (args.length === 1 && args[0] === 'adopt') return withService(adopt, { repair: true });
  const [command, option, to, ...rest] = args;
  const name = BLOB_STORES.find((store) => store === to);
  if (command !== 'migrate' || option !== '--to' || name === undefined || rest.length > 0) throw new WrongUsage();
  return withService((app) => migrate(app, name));
}

async function adopt(app: NestFastifyApplication): Promise<string> {
  const intent = { action: 'blobs.adopt', actor: 'system:blobs-cli' } as const;
  const names = await audited(app.get(AuditSink), intent, () =>
    app.get(RelocatableBlobStore).adopt(app.get(Startup).installationId),
  );
  const where = `${names.join(' and ')} as this environment names it`;
  return `The blobs of this installation lie in ${where}, whatever is there. Restart the service, then POST /scrubs.\n`;
}

async function migrate(app: NestFastifyApplication, to: string): Promise<string> {
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

runTool(main, HELP);
