import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuditSink, StartupError, audited, isDomainError } from '../../kernel';
import { type Rotation, RotationService } from '../../keys/rotation';
import { withService } from '../app';
import { ProgressDisplay } from '../progress';
import { underWay } from './status';

const LOOK_EVERY_MS = 250;
/** A service looks for jobs that nobody runs every two seconds. */
const UNTAKEN_AFTER_MS = 8_000;

/**
 * `rotate`: hands a rotation to the service, or finds the one that is under way, and watches it to
 * its end.
 */
export function rotate(): Promise<string> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  return withService(async (app) => {
    const { id } = await begin(app);
    return outcome(await watch(app, id, stop.signal));
  });
}

async function begin(app: NestFastifyApplication): Promise<Rotation> {
  const rotations = app.get(RotationService, { strict: false });
  const actor = 'system:keys-cli';
  const intent = { action: 'master-key.rotate', actor, resource: 'master-key' } as const;
  try {
    return await audited(app.get(AuditSink), intent, () => rotations.enqueueMasterKeyRotation(actor));
  } catch (error) {
    const running = isDomainError(error, 'rotation_running') ? await underWay(app) : undefined;
    if (running === undefined) throw error;
    process.stdout.write(`Following rotation ${running.id}, which is under way.\n`);
    return running;
  }
}

async function watch(app: NestFastifyApplication, id: string, stop: AbortSignal): Promise<Rotation> {
  const rotations = app.get(RotationService, { strict: false });
  const display = new ProgressDisplay(process.stdout);
  const untaken = setTimeout(() => process.stderr.write(UNTAKEN), UNTAKEN_AFTER_MS);
  try {
    for (;;) {
      const now = await rotations.find(id);
      if (now.targetVersion !== undefined) clearTimeout(untaken);
      display.show(now);
      if (now.state === 'done' || now.state === 'failed') return now;
      await sleep(LOOK_EVERY_MS, undefined, { signal: stop }).catch(() => undefined);
      if (stop.aborted) throw new StartupError(LEFT_RUNNING);
    }
  } finally {
    clearTimeout(untaken);
    display.end();
  }
}

function outcome({ state, targetVersion, failed, fault }: Rotation): string {
  if (state === 'failed') throw new StartupError(`The rotation failed: ${fault ?? 'internal'}.`);
  if (failed > 0) throw new StartupError(`The rotation is done, and ${failed} keys are in quarantine (docs/keys.md).`);
  return `Everything is wrapped with master key version ${targetVersion ?? 0}.\n`;
}

const UNTAKEN =
  'coffer: no service has begun the rotation yet; it begins as soon as one runs and its key backend answers.\n';
const LEFT_RUNNING = 'not watched any more. The rotation goes on in the service: npm run keys -- status shows it.';
