import { Lifecycle } from '../http';
import { DomainError, Readiness } from '../kernel';
import { Health } from './health';
import { useRealDeadlines } from '../../test/support/settings';

useRealDeadlines();

function healthOf(probes: Readonly<Record<string, () => Promise<void>>>): { health: Health; lifecycle: Lifecycle } {
  const readiness = new Readiness();
  for (const [name, check] of Object.entries(probes)) readiness.register({ name, check });
  const lifecycle = new Lifecycle();
  lifecycle.started();
  return { health: new Health(readiness, lifecycle), lifecycle };
}

const fine = (): Promise<void> => Promise.resolve();
const broken = (): Promise<void> => Promise.reject(new Error('driver text'));
const silent = (): Promise<void> => new Promise(() => undefined);

async function refusal(health: Health): Promise<DomainError> {
  const error = await health.check().catch((thrown: unknown) => thrown);
  if (error instanceof DomainError) return error;
  throw new Error('it was ready');
}

it('is ready when every part serves, and names them', async () => {
  expect(await healthOf({ store: fine, kms: fine }).health.check()).toEqual(['store', 'kms']);
});

it.each([
  ['store', 'store_unavailable'],
  ['kms', 'kms_unavailable'],
  ['audit', 'audit_unavailable'],
  ['blobs', 'store_unavailable'],
])('names %s when it does not serve', async (name, code) => {
  const error = await refusal(healthOf({ other: fine, [name]: broken }).health);
  expect(error.code).toBe(code);
  expect(error.extensions).toEqual({ down: [name] });
  expect(error.detail).not.toContain('driver text');
});

it('names all that do not serve, those that do not answer within a second too', async () => {
  const error = await refusal(healthOf({ store: broken, kms: silent, blobs: fine }).health);
  expect(error.extensions).toEqual({ down: ['store', 'kms'] });
});

it('does not name a part for the fault of another one that it rests on', async () => {
  const readiness = new Readiness();
  readiness.register({ name: 'store', check: broken });
  readiness.register({ name: 'audit', restsOn: 'store', check: silent });
  const lifecycle = new Lifecycle();
  lifecycle.started();
  expect((await refusal(new Health(readiness, lifecycle))).extensions).toEqual({ down: ['store'] });
});

it('names a part that fails while what it rests on serves', async () => {
  const readiness = new Readiness();
  readiness.register({ name: 'store', check: fine });
  readiness.register({ name: 'audit', restsOn: 'store', check: broken });
  const lifecycle = new Lifecycle();
  lifecycle.started();
  expect((await refusal(new Health(readiness, lifecycle))).extensions).toEqual({ down: ['audit'] });
});

it('names a part whose probe throws before it returns', async () => {
  const thrown = (): Promise<void> => {
    throw new TypeError('not opened');
  };
  expect((await refusal(healthOf({ kms: thrown, store: fine }).health)).extensions).toEqual({ down: ['kms'] });
});

it('asks once for callers at the same time', async () => {
  let asked = 0;
  const { health } = healthOf({
    store: () => {
      asked += 1;
      return Promise.resolve();
    },
  });
  await Promise.all([health.check(), health.check(), health.check()]);
  expect(asked).toBe(1);
});

it('is not ready while the service starts or stops', async () => {
  const { health, lifecycle } = healthOf({ store: fine });
  lifecycle.waitsFor(new DomainError('kms_unavailable'));
  expect((await refusal(health)).code).toBe('kms_unavailable');
  lifecycle.started();
  lifecycle.stop();
  expect((await refusal(health)).code).toBe('shutting_down');
});
