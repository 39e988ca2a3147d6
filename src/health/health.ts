import { Injectable } from '@nestjs/common';
import { Lifecycle } from '../http';
import { DomainError, ErrorCode, Readiness, ReadinessProbe, SECOND, stretched } from '../kernel';

const PROBE_TIMEOUT = SECOND;

const CODES: Readonly<Record<string, ErrorCode>> = {
  kms: 'kms_unavailable',
  audit: 'audit_unavailable',
};

/**
 * Probes the dependencies of the service. Concurrent callers share one round, so that probes cannot
 * cause load.
 */
@Injectable()
export class Health {
  #round: Promise<readonly string[]> | undefined;

  constructor(
    private readonly readiness: Readiness,
    private readonly lifecycle: Lifecycle,
  ) {}

  /**
   * Returns the names of all dependencies if they are up.
   * @throws DomainError (503) with the extension `down` if one is not
   */
  async check(): Promise<readonly string[]> {
    if (this.lifecycle.stopping) throw new DomainError('shutting_down', { extensions: { down: [] } });
    const down = await this.#down();
    const waiting = this.lifecycle.refusal;
    if (down.length === 0 && waiting === undefined) return this.#names;
    const code = CODES[down[0] ?? ''] ?? waiting?.code ?? 'store_unavailable';
    const detail = down.length === 0 ? 'The service is starting.' : `These do not serve: ${down.join(', ')}.`;
    throw new DomainError(code, { detail, extensions: { down } });
  }

  /** Reports whether each dependency is up and whether requests are served. Never throws. */
  async state(): Promise<{ readonly ready: boolean; readonly up: ReadonlyMap<string, boolean> }> {
    const down = await this.#down();
    const up = new Map(this.#names.map((name) => [name, !down.includes(name)]));
    return { ready: down.length === 0 && this.lifecycle.refusal === undefined, up };
  }

  #down(): Promise<readonly string[]> {
    this.#round ??= this.#probeAll().finally(() => (this.#round = undefined));
    return this.#round;
  }

  get #names(): readonly string[] {
    return this.readiness.probes.map((probe) => probe.name);
  }

  async #probeAll(): Promise<readonly string[]> {
    const { probes } = this.readiness;
    const serving = await Promise.all(probes.map(serves));
    const down = new Set(this.#names.filter((_name, index) => serving[index] === false));
    const explained = probes.filter(({ restsOn }) => restsOn !== undefined && down.has(restsOn));
    for (const { name } of explained) down.delete(name);
    return [...down];
  }
}

async function serves(probe: ReadinessProbe): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), stretched(PROBE_TIMEOUT))));
  const answer = Promise.resolve()
    .then(() => probe.check())
    .then(
      () => true,
      () => false,
    );
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
