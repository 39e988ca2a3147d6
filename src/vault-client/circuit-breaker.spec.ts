import { CircuitBreaker } from './circuit-breaker';

describe('The circuit breaker before Vault', () => {
  let probes: number;
  let serves: boolean;
  let breaker: CircuitBreaker;

  beforeEach(() => {
    jest.useFakeTimers();
    [probes, serves] = [0, false];
    breaker = new CircuitBreaker(() => {
      probes += 1;
      return serves ? Promise.resolve() : Promise.reject(new Error('away'));
    });
  });
  afterEach(() => {
    breaker.stop();
    jest.useRealTimers();
  });

  const fail = (times: number): void => {
    for (let at = 0; at < times; at += 1) breaker.failed();
  };

  it('stays closed for failures with successes in between', () => {
    for (let round = 0; round < 5; round += 1) {
      fail(2);
      breaker.succeeded();
    }
    expect(breaker.open).toBe(false);
  });

  it('does not probe while it is closed', async () => {
    fail(2);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(probes).toBe(0);
  });

  it('opens after failures in a row and stays open while probes fail', async () => {
    fail(3);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(breaker.open).toBe(true);
  });

  it('probes ever more seldom, every two seconds at last, however many callers come', async () => {
    fail(3);
    await jest.advanceTimersByTimeAsync(20_000);
    const before = probes;
    fail(1000);
    await jest.advanceTimersByTimeAsync(20_000);
    expect(probes - before).toBeGreaterThanOrEqual(9);
    expect(probes - before).toBeLessThanOrEqual(21);
  });

  it('probes as soon as the other side asked for, whatever the wall clock does meanwhile', async () => {
    for (let at = 0; at < 3; at += 1) breaker.failed(5);
    jest.setSystemTime(Date.now() - 3_600_000);
    expect(breaker.retryAfterSeconds).toBe(5);
    await jest.advanceTimersByTimeAsync(10_000);
    const before = probes;
    expect(before).toBeGreaterThan(0);
    breaker.failed(1);
    jest.setSystemTime(Date.now() - 3_600_000);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(probes).toBeGreaterThan(before);
  });

  it('closes at the first probe that succeeds, and forgets the failures', async () => {
    fail(50);
    serves = true;
    await jest.advanceTimersByTimeAsync(250);
    expect([breaker.open, probes]).toEqual([false, 1]);
    fail(2);
    expect(breaker.open).toBe(false);
  });

  it('closes at a late success of somebody who asked before it opened', () => {
    fail(3);
    breaker.succeeded();
    expect(breaker.open).toBe(false);
  });

  it('says when to come again: within two seconds', async () => {
    fail(3);
    expect(breaker.retryAfterSeconds).toBe(1);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(breaker.retryAfterSeconds).toBe(2);
  });

  it('sends no probe before the time that the other side named, and tells callers that time', async () => {
    for (let at = 0; at < 3; at += 1) breaker.failed(30);
    await jest.advanceTimersByTimeAsync(10_000);
    expect([probes, breaker.retryAfterSeconds]).toEqual([0, 20]);
    await jest.advanceTimersByTimeAsync(20_000);
    expect(probes).toBe(1);
  });

  it('heeds what a probe is told as well, and forgets it with the first success', async () => {
    let told: number | undefined = 20;
    const limited = new CircuitBreaker(
      () => {
        probes += 1;
        return told === undefined ? Promise.resolve() : Promise.reject(new Error('limited'));
      },
      () => told,
    );
    for (let at = 0; at < 3; at += 1) limited.failed();
    await jest.advanceTimersByTimeAsync(19_000);
    expect(probes).toBe(1);
    told = undefined;
    await jest.advanceTimersByTimeAsync(2_000);
    expect([probes, limited.open, limited.retryAfterSeconds]).toEqual([2, false, 1]);
  });

  it('never runs two probes at once', async () => {
    let running = 0;
    let most = 0;
    const slow = new CircuitBreaker(async () => {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setTimeout(resolve, 1_700));
      running -= 1;
      throw new Error('away');
    });
    for (let second = 0; second < 30; second += 1) {
      slow.failed();
      await jest.advanceTimersByTimeAsync(1000);
    }
    slow.stop();
    expect(most).toBe(1);
  });

  it('probes no more once it is stopped', async () => {
    fail(3);
    breaker.stop();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(probes).toBe(0);
  });
});
