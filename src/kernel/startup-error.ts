/**
 * A start that must not go on: `message` is the one line that the operator reads, says what to do,
 * and holds no secret. Thrown before the service listens; main prints it and ends with a status
 * other than 0.
 */
export class StartupError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'StartupError';
  }
}
