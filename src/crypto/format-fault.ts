import { DomainError } from '../kernel';

/**
 * The check that rejected a tampered, damaged or foreign ciphertext.
 * Clients see only `decryption_failed`, so that nobody can probe the format check by check. Tests
 * and telemetry read the check from the error's `cause`.
 */
export class FormatFault extends Error {
  constructor(
    /**
     * Short stable name of the check, such as `tag`, `commitment` or `frame-order`. Never holds a
     * value of the ciphertext.
     */
    readonly wall: string,
    cause?: unknown,
  ) {
    super(`refused at: ${wall}`, cause === undefined ? undefined : { cause });
    this.name = 'FormatFault';
  }
}

/** The uniform error for any decryption fault. */
export const decryptionFailed = (wall: string, cause?: unknown): DomainError =>
  new DomainError('decryption_failed', { cause: new FormatFault(wall, cause) });

/** The failed check of a `decryption_failed`; undefined for any other error. */
export function wallOf(error: unknown): string | undefined {
  return error instanceof DomainError && error.cause instanceof FormatFault ? error.cause.wall : undefined;
}
