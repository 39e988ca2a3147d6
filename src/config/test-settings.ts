import { Config } from './config';
import { EnvReader, refused } from './env-reader';

const LONGEST_FACTOR = 100;
const NAMES = ['COFFER_FAILPOINT', 'COFFER_DEADLINE_FACTOR', 'COFFER_SCHEDULE_SPEED', 'COFFER_PASSWORD_COST'];

export type TestSettings = Pick<Config, 'failpoint' | 'deadlineFactor' | 'scheduleSpeed'> &
  Pick<Config['passwords'], 'cost'>;

/**
 * Settings for tests. Each of them weakens a guarantee of the service, so a production start
 * rejects them.
 */
export function testSettings(env: EnvReader, production: boolean): TestSettings {
  for (const name of NAMES)
    if (production && env.text(name) !== undefined) throw refused(name, 'must not be set in production');
  const cost = env.oneOf('COFFER_PASSWORD_COST', ['standard', 'low'], 'standard');
  // An installation without NODE_ENV counts as development, so a cheap hash also requires
  // NODE_ENV=test.
  if (cost === 'low' && env.text('NODE_ENV') !== 'test')
    throw refused('COFFER_PASSWORD_COST', 'must not be low unless NODE_ENV is test');
  return {
    failpoint: env.text('COFFER_FAILPOINT'),
    deadlineFactor: env.whole('COFFER_DEADLINE_FACTOR', 1, LONGEST_FACTOR, 1),
    scheduleSpeed: env.whole('COFFER_SCHEDULE_SPEED', 1, LONGEST_FACTOR, 1),
    cost,
  };
}
