import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobRunner } from '../jobs';
import { AuditSink, SECOND, StartRefused, audited } from '../kernel';
import { HOME_NAMES, HomeName, MasterKeyRow } from '../keys/master';
import { Migrations, Rotation, RotationJob, Rotations } from '../keys/rotation';
import { WrongPin } from '../store';
import { WrongUsage } from '../tool';
import { withService } from '../with-service';
import { ProgressDisplay } from './progress-display';

const LOOK_EVERY = SECOND / 2;

/** `migrate --to HOME`: moves the master key, and stays until the move has ended, whoever does it. */
export async function migrate(args: readonly string[]): Promise<string> {
  const [option, value, ...rest] = args;
  const to = HOME_NAMES.find((home) => home === value);
  if (option !== '--to' || to === undefined || rest.length > 0) throw new WrongUsage();
  try {
    return await withService((app) => migrateIn(app, to));
  } catch (error) {
    // The environment still names the former home of a move that has ended meanwhile.
    if (error instanceof WrongPin && error.variable === 'MASTER_KEY' && error.pinned === to) return there(to);
    throw error;
  }
}

async function migrateIn(app: NestFastifyApplication, to: HomeName): Promise<string> {
  // The rest of the service's jobs stay with the service.
  app.get(RotationJob, { strict: false }).register();
  const intent = { action: 'master-key.migrate', actor: 'system:keys-cli', resource: 'master-key' } as const;
  const begun = await audited(app.get(AuditSink), { ...intent, details: { to } }, () =>
    app.get(Migrations, { strict: false }).begin(to, 'system:keys-cli'),
  );
  if (begun === undefined) return there(to);
  const ended = await watch(app, begun);
  if (ended.state !== 'done') throw new StartRefused(unfinished(ended));
  return finished(to, ended, await formerVersions(app, to));
}

/** Takes the job over where nobody runs it: a replica that did may have died. */
async function watch(app: NestFastifyApplication, begun: Rotation): Promise<Rotation> {
  const [jobs, rotations] = [app.get(JobRunner, { strict: false }), app.get(Rotations, { strict: false })];
  const display = new ProgressDisplay(process.stderr);
  for (;;) {
    await jobs.poll();
    const rotation = await rotations.find(begun.id);
    if (rotation.targetVersion !== undefined && rotation.inEffect) display.show(rotation);
    if (rotation.state !== 'running') {
      display.end();
      return rotation;
    }
    await sleep(LOOK_EVERY);
  }
}

function unfinished({ id, state, fault }: Rotation): string {
  return state === 'paused'
    ? `The move is paused: POST /rotations/${id}/resume lets it go on.`
    : `The move failed (${fault ?? 'internal'}). What it wrapped again stays so and everything opens; run this again once the cause is mended.`;
}

async function formerVersions(app: NestFastifyApplication, to: HomeName): Promise<number> {
  const { homes = [] } = await app.get(MasterKeyRow).read();
  const since = homes.findLast(({ home }) => home === to)?.since ?? 1;
  return since - 1;
}

function finished(to: HomeName, { done, failed }: Rotation, former: number): string {
  if (failed > 0) {
    throw new StartRefused(
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

const there = (to: HomeName): string => `The master key is in ${to} already; a start needs MASTER_KEY=${to}.\n`;
