import { EnvReader, Environment } from './env-reader';
import { testSettings } from './test-settings';

const read = (env: Environment, production = false) => testSettings(new EnvReader(env), production);

describe('what only tests set', () => {
  it('is nothing by default', () => {
    expect(read({})).toEqual({ failpoint: undefined, deadlineFactor: 1, scheduleSpeed: 1, cost: 'standard' });
  });

  it('is read outside production', () => {
    const env = { COFFER_FAILPOINT: 'rotation.key-rotated:3', COFFER_DEADLINE_FACTOR: '10' };
    expect(read(env)).toMatchObject({ failpoint: 'rotation.key-rotated:3', deadlineFactor: 10 });
    expect(read({ NODE_ENV: 'test', COFFER_PASSWORD_COST: 'low' })).toMatchObject({ cost: 'low' });
  });

  it.each([
    ['COFFER_FAILPOINT', 'x'],
    ['COFFER_DEADLINE_FACTOR', '1'],
    ['COFFER_SCHEDULE_SPEED', '1'],
    ['COFFER_PASSWORD_COST', 'standard'],
  ])('is refused in production: %s=%s', (name, value) => {
    expect(() => read({ [name]: value }, true)).toThrow(`${name} must not be set in production.`);
  });

  it.each([
    ['COFFER_DEADLINE_FACTOR', '0'],
    ['COFFER_PASSWORD_COST', 'none'],
  ])('is refused with a value of no meaning: %s=%s', (name, value) => {
    expect(() => read({ [name]: value })).toThrow(`${name} must be`);
  });

  it.each([{}, { NODE_ENV: 'development' }])('is no cheap password hash with %j', (env) => {
    expect(() => read({ ...env, COFFER_PASSWORD_COST: 'low' })).toThrow(
      'COFFER_PASSWORD_COST must not be low unless NODE_ENV is test.',
    );
  });
});
