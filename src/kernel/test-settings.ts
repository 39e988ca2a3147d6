import { stretchDeadlines } from './deadlines';
import { armFailpoint } from './failpoint';

/** What a test makes of this process. Called once by main; config refuses both in production. */
export function applyTestSettings(settings: {
  readonly failpoint: string | undefined;
  readonly deadlineFactor: number;
}): void {
  armFailpoint(settings.failpoint);
  stretchDeadlines(settings.deadlineFactor);
}
