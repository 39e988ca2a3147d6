import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildOnce } from './build';
import { type ReceivedMail, readOutbox } from './mails';
import { freePort, type Managed, startProcess, waitFor } from './processes';
import { testSettings } from './settings';

/**
 * The built service as a process of its own, with an environment that holds what a test gives and
 * nothing else.
 */
export interface Service {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly pid: number;
  /** stdout and stderr of all its lives so far. */
  logs(): string;
  /** The mails in its outbox folder, oldest first. */
  outbox(): Promise<ReceivedMail[]>;
  /** SIGTERM and its clean end; resolves with the exit code. Keeps the data. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** SIGKILL. Keeps the data. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
  /**
   * Starts it again on the same port and data, with `env` over the former environment; kills it
   * first if it runs.
   */
  restart(env?: Readonly<Record<string, string | undefined>>): Promise<void>;
  /**
   * From now on it dies where it passes this failpoint (or sleeps, with `:stop`). A restart disarms
   * it.
   */
  arm(point: string): Promise<void>;
  /** Resolves with the exit code when it ends by itself. */
  ended(): Promise<number | null>;
  /** Kills it and removes its data folder if this service made it. */
  dispose(): Promise<void>;
}

export interface ServiceOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A data folder to share or to start again on; a temporary one otherwise. */
  readonly dataDir?: string;
  readonly port?: number;
  readonly args?: readonly string[];
  /**
   * Whether to wait for /readyz; without it the start resolves as soon as the process runs. Default
   * true.
   */
  readonly ready?: boolean;
  /** Default 30 seconds. */
  readonly readyWithinMs?: number;
}

const root = join(__dirname, '../..');

/** @throws Error with the service's own output, when it ends or does not become ready in time. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  await buildOnce();
  const ownDir = options.dataDir === undefined ? await mkdtemp(join(tmpdir(), 'coffer-service-')) : undefined;
  const dataDir = options.dataDir ?? ownDir!;
  const port = options.port ?? (await freePort());
  const running = new RunningService(dataDir, port, options);
  try {
    await running.launch();
  } catch (error) {
    await running.dispose(ownDir);
    throw error;
  }
  return running.asService(ownDir);
}

class RunningService {
  readonly url: string;
  #env: Record<string, string>;
  #process: Managed | undefined;
  #formerLogs = '';

  constructor(
    readonly dataDir: string,
    readonly port: number,
    private readonly options: ServiceOptions,
  ) {
    this.url = `http://127.0.0.1:${port}`;
    this.#env = {
      RATE_LIMITS: 'off',
      ...testSettings(options.env),
      ...options.env,
      DATA_DIR: dataDir,
      HOST: '127.0.0.1',
      PORT: String(port),
    };
  }

  async launch(): Promise<void> {
    const args = [join(root, 'dist/main.js'), ...(this.options.args ?? [])];
    const launched = startProcess(process.execPath, args, {
      // Not in `env`, which the command line tools of a test get as well: they have no channel.
      env: this.#env['NODE_ENV'] === 'production' ? this.#env : { COFFER_FAILPOINT: 'by-message', ...this.#env },
      cwd: this.dataDir,
      channel: true,
    });
    this.#process = launched;
    if (this.options.ready === false) return;
    await waitFor(
      `the service to be ready; it said:\n${'-'.repeat(20)}`,
      async () => {
        if (!launched.running()) throw new Error(`the service ended before it was ready:\n${launched.output()}`);
        return isReady(this.url);
      },
      this.options.readyWithinMs ?? 30_000,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${launched.output()}`);
    });
  }

  async dispose(ownDir: string | undefined): Promise<void> {
    await this.#current().kill();
    if (ownDir !== undefined) await rm(ownDir, { recursive: true, force: true });
  }

  asService(ownDir: string | undefined): Service {
    const current = () => this.#current();
    const env = () => this.#env;
    return {
      url: this.url,
      port: this.port,
      dataDir: this.dataDir,
      get env() {
        return env();
      },
      get pid() {
        return current().pid;
      },
      logs: () => this.#formerLogs + current().output(),
      outbox: () => readOutbox(this.dataDir),
      stop: (signal) => current().stop(signal, 20_000),
      kill: () => current().kill(),
      pause: () => current().pause(),
      resume: () => current().resume(),
      arm: async (point) => {
        await current().ask(point);
      },
      restart: (change) => this.#restart(change),
      ended: () => current().exited,
      dispose: () => this.dispose(ownDir),
    };
  }

  async #restart(change: Readonly<Record<string, string | undefined>> = {}): Promise<void> {
    await this.#current().kill();
    this.#formerLogs += this.#current().output();
    const merged = Object.entries({ ...this.#env, ...change });
    this.#env = Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== undefined));
    await this.launch();
  }

  #current(): Managed {
    if (this.#process === undefined) throw new Error('the service was never started');
    return this.#process;
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) })).status === 200;
  } catch {
    return false;
  }
}
