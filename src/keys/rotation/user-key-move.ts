import type { JobData } from '../../jobs';
import type { WrapLocation } from '../../store';

export const USER_KEY_MOVE_JOB = 'user-keys.move';

export interface UserKeyMoveData {
  readonly to: WrapLocation;
  /** True once the number of keys to be moved has been taken. */
  readonly counted: boolean;
}

export const userKeyMoveData = (data: JobData): UserKeyMoveData => ({
  to: data['to'] === 'vault' ? 'vault' : 'store',
  counted: data['counted'] === true,
});
