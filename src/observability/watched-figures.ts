import { Gauge, Registry } from 'prom-client';

/**
 * Metrics that a scrape reads. The caller bounds the time of each `read`; if `read` fails, the last
 * value stays.
 */
export class WatchedFigures {
  constructor(private readonly registry: Registry) {}

  /**
   * Whether each dependency is up, as in /readyz, and whether the service is ready. Concurrent
   * calls of `read` share one round of probes.
   */
  dependencies(read: () => Promise<{ readonly ready: boolean; readonly up: ReadonlyMap<string, boolean> }>): void {
    new Gauge({
      name: 'coffer_ready',
      help: 'Whether this process serves requests (1) or answers 503 to all of them (0).',
      registers: [this.registry],
      async collect() {
        this.set((await read()).ready ? 1 : 0);
      },
    });
    new Gauge({
      name: 'coffer_dependency_up',
      help: 'Whether a part that the service depends on answers this process: store, kms, blobs, audit.',
      labelNames: ['dependency'],
      registers: [this.registry],
      async collect() {
        for (const [dependency, isUp] of (await read()).up) this.set({ dependency }, isUp ? 1 : 0);
      },
    });
  }

  /** `createdAt`: ms since the epoch, undefined if the backend does not report it. */
  masterKey(read: () => Promise<{ readonly version: number; readonly createdAt: number | undefined }>): void {
    new Gauge({
      name: 'coffer_master_key_version',
      help: 'The current version of the master key; NaN until it was read.',
      registers: [this.registry],
      async collect() {
        await read().then(
          ({ version }) => this.set(version),
          () => undefined,
        );
      },
    }).set(NaN);
    new Gauge({
      name: 'coffer_master_key_age_seconds',
      help: 'Age of the current version of the master key; NaN until it was read, and where its backend does not tell.',
      registers: [this.registry],
      async collect() {
        await read().then(
          ({ createdAt }) => this.set(createdAt === undefined ? NaN : (Date.now() - createdAt) / 1000),
          () => undefined,
        );
      },
    }).set(NaN);
  }

  /** Free bytes on the file system of the data folder. */
  dataFolder(read: () => Promise<number>): void {
    new Gauge({
      name: 'coffer_data_dir_available_bytes',
      help: 'Bytes that this process may still write on the file system of DATA_DIR.',
      registers: [this.registry],
      async collect() {
        const bytes = await read().catch(() => undefined);
        if (bytes !== undefined) this.set(bytes);
      },
    });
  }

  /** Values that do not change while a process runs. `userQuota`: bytes, undefined for none. */
  constants(build: { readonly version: string; readonly node: string }, userQuota: number | undefined): void {
    const info = new Gauge({
      name: 'coffer_build_info',
      help: 'Always 1; the release and the version of Node that runs it.',
      labelNames: ['version', 'node'],
      registers: [this.registry],
    });
    info.set({ ...build }, 1);
    const quota = new Gauge({
      name: 'coffer_user_quota_bytes',
      help: 'USER_QUOTA; +Inf where there is none.',
      registers: [this.registry],
    });
    quota.set(userQuota ?? Infinity);
  }
}
