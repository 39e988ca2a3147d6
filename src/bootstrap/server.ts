import { Logger as NestLogger } from '@nestjs/common';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from 'nestjs-pino';
import { Config } from '../config';
import { InFlight, Lifecycle, drain } from '../http';
import { SECOND } from '../kernel';
import { BootFilter } from '../observability';
import { AppOverrides, closeApp, createApp } from './create-app';
import { Startup } from './startup';

/**
 * How long requests that are under way have. A client that sends half of one and waits has no
 * longer.
 */
const GRACE = 15 * SECOND;
/** Orchestrators kill after 30 s: whatever hangs, the process ends before. */
export const STOP_WITHIN = 24 * SECOND;
/** How long a start waits for store and Vault before it listens without them. */
const PATIENCE = SECOND;
/** How long a start that is refused once it listens waits for its own writes. */
const REFUSAL_PATIENCE = 5 * SECOND;

/** The whole service in one process: made, started once, stopped once. */
export class CofferServer {
  readonly #inFlight: InFlight;
  #stopped: Promise<void> | undefined;

  private constructor(
    private readonly app: NestFastifyApplication,
    private readonly config: Config,
  ) {
    this.#inFlight = app.get(InFlight);
    this.#inFlight.watch(this.#httpServer);
  }

  /** Builds everything and opens nothing yet. @throws StartupError */
  static async create(config: Config, overrides: AppOverrides = {}): Promise<CofferServer> {
    const app = await createApp(config, overrides);
    app.useLogger(new BootFilter(app.get(Logger)));
    return new CofferServer(app, config);
  }

  /**
   * Opens the installation and listens; resolves with the port. Where store or Vault do not answer
   * it listens all the same, refuses with 503 and goes on trying: `failed` hears if that ends in a
   * refusal. @throws StartupError
   */
  async start(failed: (error: unknown) => void): Promise<number> {
    const startup = this.app.get(Startup);
    const attempt = startup.attempt();
    // A refusal comes at once and before anything listens; what does not answer must not keep the
    // probes waiting.
    await Promise.race([attempt, sleep(PATIENCE, undefined, { ref: false })]);
    await this.app.listen(this.config.port, this.config.host);
    NestLogger.flush();
    attempt
      .then((open) => (open ? undefined : startup.keepTrying()))
      .catch((error: unknown) => this.#endRefused().finally(() => failed(error)));
    const address = this.#httpServer.address();
    return typeof address === 'object' && address !== null ? address.port : this.config.port;
  }

  /**
   * Refuses what is new, lets what runs come to its end (uploads too, 15 s at most), breaks the
   * rest, then closes the store last. Safe to repeat.
   */
  stop(): Promise<void> {
    this.#stopped ??= Promise.race([this.#close(), sleep(STOP_WITHIN, undefined, { ref: false })]);
    return this.#stopped;
  }

  /**
   * A process that exits in the midst of a write of the embedded store is killed, and its exit code
   * then says nothing to a supervisor: so the writes of a refused start end first.
   */
  async #endRefused(): Promise<void> {
    await Promise.race([this.stop(), sleep(REFUSAL_PATIENCE)]).catch(() => undefined);
  }

  async #close(): Promise<void> {
    this.app.get(Lifecycle).stop();
    await drain(this.#httpServer, this.#inFlight, GRACE);
    await closeApp(this.app);
  }

  get #httpServer(): Server {
    return this.app.getHttpServer();
  }
}
