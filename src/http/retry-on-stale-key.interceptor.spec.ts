import { CallHandler, ExecutionContext } from '@nestjs/common';
import { defer, firstValueFrom } from 'rxjs';
import { DomainError, StaleKeyVersionError } from '../kernel';
import { RetryOnStaleKeyInterceptor } from './retry-on-stale-key.interceptor';

const contextOf = (method: string, sent = false): ExecutionContext =>
  ({
    switchToHttp: () => ({ getRequest: () => ({ method }), getResponse: () => ({ sent }) }),
  }) as unknown as ExecutionContext;

/** A handler whose first `failures` runs throw `error`. */
function handler(failures: number, error: Error): CallHandler & { runs: number } {
  const made = {
    runs: 0,
    handle: () =>
      defer(() => {
        made.runs += 1;
        return made.runs <= failures ? Promise.reject(error) : Promise.resolve('read');
      }),
  };
  return made;
}

const answer = (context: ExecutionContext, next: CallHandler): Promise<unknown> =>
  firstValueFrom(new RetryOnStaleKeyInterceptor().intercept(context, next));

describe('A read that meets an envelope of a key version that is gone', () => {
  it.each(['GET', 'HEAD'])('is run again for %s', async (method) => {
    expect(await answer(contextOf(method), handler(2, new StaleKeyVersionError()))).toBe('read');
  });

  it('is refused as decryption_failed where that goes on', async () => {
    const next = handler(99, new StaleKeyVersionError());
    await expect(answer(contextOf('GET'), next)).rejects.toMatchObject({ code: 'decryption_failed' });
    expect(next.runs).toBe(4);
  });

  it('is not run again after its answer has begun', async () => {
    const next = handler(1, new StaleKeyVersionError());
    await expect(answer(contextOf('GET', true), next)).rejects.toBeInstanceOf(StaleKeyVersionError);
    expect(next.runs).toBe(1);
  });

  it('is not run again for a method that changes something', async () => {
    const next = handler(1, new StaleKeyVersionError());
    await expect(answer(contextOf('POST'), next)).rejects.toBeInstanceOf(StaleKeyVersionError);
    expect(next.runs).toBe(1);
  });

  it('is not run again for any other error, a damaged value included', async () => {
    const next = handler(1, new DomainError('decryption_failed'));
    await expect(answer(contextOf('GET'), next)).rejects.toMatchObject({ code: 'decryption_failed' });
    expect(next.runs).toBe(1);
  });
});
