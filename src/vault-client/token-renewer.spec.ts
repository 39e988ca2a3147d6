import { type TokenLease, TokenRenewer } from './token-renewer';

const HOUR_S = 3_600;
const DAY_MS = 86_400_000;

/** Vault as far as a renewer sees it: answers are taken from the front, the last one stays. */
class Source {
  readonly calls: string[] = [];
  renewals: (TokenLease | undefined | Error)[] = [{ seconds: HOUR_S, renewable: true }];
  replacement: TokenLease | Error = { seconds: HOUR_S, renewable: true };
  readonly renewer = new TokenRenewer(this);

  renew(): Promise<TokenLease | undefined> {
    this.calls.push('renew');
    const answer = this.renewals.length > 1 ? this.renewals.shift() : this.renewals[0];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  }

  replace(): Promise<void> {
    this.calls.push('replace');
    if (this.replacement instanceof Error) return Promise.reject(this.replacement);
    this.renewer.watch(this.replacement);
    return Promise.resolve();
  }
}

describe('The renewal of a token', () => {
  let source: Source;

  beforeEach(() => {
    jest.useFakeTimers();
    source = new Source();
  });
  afterEach(() => {
    source.renewer.stop();
    jest.useRealTimers();
  });

  it('happens well before the lease ends, again and again', async () => {
    source.renewer.watch({ seconds: HOUR_S, renewable: true });
    await jest.advanceTimersByTimeAsync(3 * HOUR_S * 1000);
    expect(source.calls).toEqual(['renew', 'renew', 'renew', 'renew', 'renew']);
  });

  it('does not storm for a lease that is longer than a timer can be', async () => {
    source.renewals = [{ seconds: 32 * 24 * HOUR_S, renewable: true }];
    source.renewer.watch({ seconds: 32 * 24 * HOUR_S, renewable: true });
    await jest.advanceTimersByTimeAsync(DAY_MS / 2);
    expect(source.calls).toEqual([]);
    await jest.advanceTimersByTimeAsync(3 * DAY_MS);
    expect(source.calls).toEqual(['renew', 'renew', 'renew']);
  });

  it('does not happen for a token that lives for ever', async () => {
    source.renewer.watch({ seconds: 0, renewable: false });
    await jest.advanceTimersByTimeAsync(40 * DAY_MS);
    expect(source.calls).toEqual([]);
  });

  it('is tried again after a failure', async () => {
    source.renewals = [new Error('away'), new Error('away'), { seconds: HOUR_S, renewable: true }];
    source.renewer.watch({ seconds: HOUR_S, renewable: true });
    await jest.advanceTimersByTimeAsync(HOUR_S * 1000);
    expect(source.calls).toEqual(['renew', 'renew', 'renew']);
  });

  it('gives way to a new token near the end of its longest life', async () => {
    source.renewals = [{ seconds: 60, renewable: true }];
    source.renewer.watch({ seconds: HOUR_S, renewable: true });
    await jest.advanceTimersByTimeAsync(0.7 * HOUR_S * 1000);
    expect(source.calls).toEqual(['renew', 'replace']);
  });

  it('gives way to a new token where Vault refuses it', async () => {
    source.renewals = [undefined];
    source.renewer.watch({ seconds: HOUR_S, renewable: true });
    await jest.advanceTimersByTimeAsync(0.7 * HOUR_S * 1000);
    expect(source.calls).toEqual(['renew', 'replace']);
  });

  it('is no use for a token that cannot be renewed: it is replaced', async () => {
    source.renewer.watch({ seconds: HOUR_S, renewable: false });
    await jest.advanceTimersByTimeAsync(0.7 * HOUR_S * 1000);
    expect(source.calls).toEqual(['replace']);
  });

  it('goes on trying for a new token while Vault is away', async () => {
    source.replacement = new Error('away');
    source.renewer.watch({ seconds: 60, renewable: false });
    await jest.advanceTimersByTimeAsync(60_000);
    expect(source.calls.length).toBeGreaterThan(2);
  });

  it('ends with the session', async () => {
    source.renewer.watch({ seconds: HOUR_S, renewable: true });
    source.renewer.stop();
    await jest.advanceTimersByTimeAsync(DAY_MS);
    expect(source.calls).toEqual([]);
  });
});
