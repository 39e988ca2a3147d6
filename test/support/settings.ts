import { stretchDeadlines } from '../../src/kernel/deadlines';

/**
 * A disk that stalls for seconds, or a worker that gets no processor, fails no suite that is about
 * something else.
 */
const FACTOR = 10;
let factor = FACTOR;

/**
 * For a suite about what happens when a store or Vault does not answer: the deadlines of
 * production, here and in its services.
 */
export function useRealDeadlines(): void {
  factor = 1;
  stretchDeadlines(factor);
}

/**
 * What the services of tests run with beside what a test gives them: cheap password hashes and long
 * deadlines. Production refuses both.
 */
export function testSettings(env: Readonly<Record<string, string | undefined>> = {}): Record<string, string> {
  if (env['NODE_ENV'] === 'production') return {};
  return { NODE_ENV: 'test', COFFER_PASSWORD_COST: 'low', COFFER_DEADLINE_FACTOR: String(factor) };
}

/** Runs before each spec file (jest.config.cjs). */
export const applyToThisProcess = (): void => stretchDeadlines(factor);
