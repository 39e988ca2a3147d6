import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AuditSink, StartupError, audited } from '../../kernel';
import { BackendName, MasterKeyRow } from '../../keys/master-key';
import { BackendMoves, Rotation, MasterKeyRotationJob, RotationService, rotationData } from '../../keys/rotation';
import { unlessThere, watchJob } from './follow-move';

/** Moves the master key, and returns when the move has ended, whichever process does it. */
export function migrateMasterKey(to: BackendName): Promise<string> {
  return unlessThere({ variable: 'MASTER_KEY', value: to, there: there(to) }, (app) => migrateIn(app, to));
}

async function migrateIn(app: NestFastifyApplication, to: BackendName): Promise<string> {
  // All other jobs of the service stay with the service.
  app.get(MasterKeyRotationJob, { strict: false }).register();
  const intent = { action: 'master-key.migrate', actor: 'system:keys-cli', resource: 'master-key' } as const;
  const begun = await audited(app.get(AuditSink), { ...intent, details: { to } }, () =>
    app.get(BackendMoves, { strict: false }).begin(to, 'system:keys-cli'),
  );
  if (begun === undefined) return there(to);
  await watchJob(app, begun.id, ({ data }) => rotationData(data).advanced);
  const ended = await app.get(RotationService, { strict: false }).find(begun.id);
  if (ended.state !== 'done') throw new StartupError(unfinished(ended));
  return finished(to, ended, await formerVersions(app, to));
}

function unfinished({ id, state, fault }: Rotation): string {
  return state === 'paused'
    ? `The move is paused: POST /rotations/${id}/resume lets it go on.`
    : `The move failed (${fault ?? 'internal'}). What it wrapped again stays so and everything opens; run this again once the cause is mended.`;
}

async function formerVersions(app: NestFastifyApplication, to: BackendName): Promise<number> {
  const { homes = [] } = await app.get(MasterKeyRow).read();
  const since = homes.findLast(({ home }) => home === to)?.since ?? 1;
  return since - 1;
}

function finished(to: BackendName, { done, failed }: Rotation, former: number): string {
  if (failed > 0) {
    throw new StartupError(
      `The master key is in ${to}, but ${failed} user keys are in quarantine and stay where they were: look at the log, keep the former ` +
        `home, and set MASTER_KEY=${to} before the next start.`,
    );
  }
  return (
    `The master key is in ${to}; ${done} user keys are wrapped by it. Running processes go on as they are.\n` +
    `Before the next start set MASTER_KEY=${to}. Keep the variables of the former home until its versions are retired\n` +
    `(POST /keys/versions/${former}/retire): they open backups from before.\n`
  );
}

const there = (to: BackendName): string => `The master key is in ${to} already; a start needs MASTER_KEY=${to}.\n`;
