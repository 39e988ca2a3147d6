import { Logger } from '@nestjs/common';
import { Clock, DomainError, MINUTE, SystemClock } from '../kernel';
import { waitFor } from '../../test/support/processes';
import { type OpenStore, temporaryAuthenticatedStore } from '../../test/support/sealed-store';
import { tasksCollection } from './jobs.collection';
import { LeaseLost } from './held-lease';
import { LeasedScheduler } from './leased-scheduler';
import type { Turn } from './scheduler';

beforeAll(() => void Logger.overrideLogger(false));

let open: OpenStore;
const schedulers: LeasedScheduler[] = [];
beforeEach(async () => (open = await temporaryAuthenticatedStore()));
afterEach(async () => {
  await Promise.all(schedulers.splice(0).map((scheduler) => scheduler.beforeApplicationShutdown()));
  await open.close();
});

function scheduler(clock: Clock = new SystemClock()): LeasedScheduler {
  const made = new LeasedScheduler(open.store, clock);
  schedulers.push(made);
  return made;
}

const released = (name: string): Promise<unknown> =>
  waitFor('the task to be given back', async () => {
    const row = await open.store.collection(tasksCollection).find('_id', name);
    return row !== undefined && row.next_at > 0 && row.lease_until === 0;
  });

describe('a periodic task', () => {
  it('runs soon after the start and not before it', async () => {
    const task = jest.fn(() => Promise.resolve());
    const one = scheduler();
    one.every('sweep', MINUTE, task);
    expect(task).not.toHaveBeenCalled();
    one.onApplicationBootstrap();
    await waitFor('the first run', () => task.mock.calls.length > 0);
  });

  it('runs again and again', async () => {
    const task = jest.fn(() => Promise.resolve());
    const one = scheduler();
    one.every('sweep', 10, task);
    one.onApplicationBootstrap();
    await waitFor('three runs', () => task.mock.calls.length >= 3);
  });

  it('runs on one replica where several start at the same time', async () => {
    const task = jest.fn(() => Promise.resolve());
    for (let n = 0; n < 6; n += 1) {
      const one = scheduler();
      one.every('sweep', 60 * MINUTE, task);
      one.onApplicationBootstrap();
    }
    await released('sweep');
    expect(task).toHaveBeenCalledTimes(1);
  });

  it('is not begun by a second replica while the first one is at it', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const [slow, quick] = [jest.fn(() => held), jest.fn(() => Promise.resolve())];
    const [one, two] = [scheduler(), scheduler()];
    one.every('sweep', 1, slow);
    one.onApplicationBootstrap();
    await waitFor('the first run', () => slow.mock.calls.length > 0);
    const looked = jest.spyOn(open.store.collection(tasksCollection), 'find');
    two.every('sweep', 1, quick);
    two.onApplicationBootstrap();
    await waitFor('the second replica to have looked', () => looked.mock.calls.length > 0);
    expect(quick).not.toHaveBeenCalled();
    release();
  });

  it('comes again after a run that failed', async () => {
    const task = jest.fn(() => Promise.reject(new Error('broken')));
    const one = scheduler();
    one.every('sweep', 1, task);
    one.onApplicationBootstrap();
    await waitFor('another try', () => task.mock.calls.length >= 2);
  });

  it('is due again soon after a run that failed, however long its interval', async () => {
    const one = scheduler();
    one.every('sweep', 60 * MINUTE, () => Promise.reject(new Error('broken')));
    one.onApplicationBootstrap();
    await released('sweep');
    const row = await open.store.collection(tasksCollection).find('_id', 'sweep');
    expect(row!.next_at).toBeLessThan(Date.now() + MINUTE);
  });

  it('is run again after its holder died with a clock that was an hour fast', async () => {
    class QuickScheduler extends LeasedScheduler {
      protected override readonly timings = { leaseMs: 100, renewMs: 25, pollMs: 25 };
    }
    const held = { lease_owner: 'another-boot.1/7/x', lease_until: Date.now() + 60 * MINUTE };
    await open.store.collection(tasksCollection).insert({ _id: 'sweep', ...held, next_at: 0 });
    const task = jest.fn(() => Promise.resolve());
    const one = new QuickScheduler(open.store, new SystemClock());
    schedulers.push(one);
    one.every('sweep', MINUTE, task);
    one.onApplicationBootstrap();
    await waitFor('a run', () => task.mock.calls.length > 0);
  });

  it('is run again at its next turn where its lease could not be given back', async () => {
    const rows = open.store.collection(tasksCollection);
    const replace = rows.replace.bind(rows);
    const task = jest.fn(() => {
      rows.replace = () => Promise.reject(new DomainError('store_unavailable'));
      return Promise.resolve();
    });
    const one = scheduler();
    one.every('sweep', 1, task);
    one.onApplicationBootstrap();
    await waitFor('the first run', () => task.mock.calls.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await rows.find('_id', 'sweep'))!.lease_owner).not.toBe('');
    rows.replace = replace;
    await waitFor('the next run', () => task.mock.calls.length > 1);
    rows.replace = replace;
  });

  it('is told when it has lost its lease, and changes the row of who has it now no more', async () => {
    const rows = open.store.collection(tasksCollection);
    let turn: Turn | undefined;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const one = scheduler();
    one.every('sweep', MINUTE, (given) => {
      turn = given;
      return held;
    });
    one.onApplicationBootstrap();
    const begun = await waitFor('the run', () => turn);
    await begun.assertLease();
    const row = (await rows.find('_id', 'sweep'))!;
    const taken = await rows.replace({ ...row, lease_owner: 'another-boot.1/7/x' });
    await expect(begun.assertLease()).rejects.toBeInstanceOf(LeaseLost);
    expect(begun.signal.aborted).toBe(true);
    release();
    await one.beforeApplicationShutdown();
    expect(await rows.find('_id', 'sweep')).toEqual(taken);
  });

  it('comes again after the clock was set back', async () => {
    let ms = Date.now();
    const clock = new (class extends Clock {
      now(): number {
        return ms;
      }
    })();
    const first = jest.fn(() => Promise.resolve());
    const one = scheduler(clock);
    one.every('sweep', MINUTE, first);
    one.onApplicationBootstrap();
    await released('sweep');
    await one.beforeApplicationShutdown();
    ms -= 100 * MINUTE;
    const again = jest.fn(() => Promise.resolve());
    const two = scheduler(clock);
    two.every('sweep', MINUTE, again);
    two.onApplicationBootstrap();
    await waitFor('a run', () => again.mock.calls.length > 0);
  });

  it('is refused a name that is taken', () => {
    const one = scheduler();
    one.every('sweep', MINUTE, () => Promise.resolve());
    expect(() => one.every('sweep', MINUTE, () => Promise.resolve())).toThrow(TypeError);
  });

  it('is not begun any more after the stop', async () => {
    const task = jest.fn(() => Promise.resolve());
    const one = scheduler();
    one.onApplicationBootstrap();
    await one.beforeApplicationShutdown();
    one.every('sweep', 1, task);
    expect(task).not.toHaveBeenCalled();
  });
});
