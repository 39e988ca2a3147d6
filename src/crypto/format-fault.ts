import { DomainError } from '../kernel';

/**
 * The check that stopped a forged, damaged or foreign ciphertext. From outside all of them are one `decryption_failed`, so that nobody
 * can probe a format check by check; tests and telemetry read the wall from the error's `cause`.
 */
export class FormatFault extends Error {
  constructor(
    /** Short stable name of the check, as `tag`, `commitment` or `frame-order`. Never holds a value of the ciphertext. */
    readonly wall: string,
    cause?: unknown,
  ) {
    super(`refused at: ${wall}`, cause === undefined ? undefined : { cause });
    this.name = 'FormatFault';
  }
}

/** The error that every decryption fault looks like from outside. */
export const decryptionFailed = (wall: string, cause?: unknown): DomainError =>
  new DomainError('decryption_failed', { cause: new FormatFault(wall, cause) });

/** The wall behind a `decryption_failed`; undefined for any other error. */
export function wallOf(error: unknown): string | undefined {
  return error instanceof DomainError && error.cause instanceof FormatFault ? error.cause.wall : undefined;
}
