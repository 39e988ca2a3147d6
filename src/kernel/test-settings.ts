import { hastenSchedules, stretchDeadlines } from './deadlines';
import { armFailpoint } from './failpoint';

/**
 * In place of a point: the parent process names one over the channel to its child, without a
 * restart.
 */
const BY_MESSAGE = 'by-message';

/**
 * What a test makes of this process. Called once by main; config refuses all of them in production.
 */
export function applyTestSettings(settings: {
  readonly failpoint: string | undefined;
  readonly deadlineFactor: number;
  readonly scheduleSpeed: number;
}): void {
  stretchDeadlines(settings.deadlineFactor);
  hastenSchedules(settings.scheduleSpeed);
  armFailpoint(settings.failpoint);
  if (settings.failpoint !== BY_MESSAGE) return;
  process.on('message', (point) => {
    armFailpoint(String(point));
    process.send?.('armed');
  });
  // The channel alone keeps no process alive.
  process.channel?.unref();
}
