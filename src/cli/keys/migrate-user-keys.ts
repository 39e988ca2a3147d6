import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Job } from '../../jobs';
import { audited, AuditSink, StartupError } from '../../kernel';
import { WrapRelocationJob, WrapRelocations } from '../../keys/rotation';
import { WrapLocation } from '../../installation';
import { unlessThere, watchJob } from './follow-move';

/** Moves the wrapped user keys, and returns when the move has ended, whichever process does it. */
export function migrateUserKeys(to: WrapLocation): Promise<string> {
  return unlessThere({ variable: 'USER_KEY_STORE', value: to, there: there(to) }, (app) => migrateIn(app, to));
}

async function migrateIn(app: NestFastifyApplication, to: WrapLocation): Promise<string> {
  // All other jobs of the service stay with the service.
  app.get(WrapRelocationJob, { strict: false }).register();
  const intent = { action: 'user-keys.migrate', actor: 'system:keys-cli', resource: 'user-keys' } as const;
  const begun = await audited(app.get(AuditSink), { ...intent, details: { to } }, () =>
    app.get(WrapRelocations, { strict: false }).begin(to, 'system:keys-cli'),
  );
  if (begun === undefined) return there(to);
  const ended = await watchJob(app, begun.id);
  if (ended.state !== 'done') throw new StartupError(unfinished(ended));
  return (
    `The wrapped user keys are in ${to}; ${ended.progress.done} were moved. Running processes go on as they are.\n` +
    `Before the next start set USER_KEY_STORE=${to}.\n`
  );
}

function unfinished({ progress: { failed }, fault }: Job): string {
  const why =
    failed > 0
      ? `${failed} user keys cannot be moved (the log names their owners)`
      : `The move failed (${fault ?? 'internal'})`;
  return `${why}. What was moved stays so and everything else opens where it was; run this again once the cause is mended.`;
}

const there = (to: WrapLocation): string =>
  `The wrapped user keys are in ${to} already; a start needs USER_KEY_STORE=${to}.\n`;
