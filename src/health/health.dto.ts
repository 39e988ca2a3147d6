export class AliveDto {
  /** @example alive */
  status!: string;
}

export class ReadyDto {
  /** @example ready */
  status!: string;

  /**
   * The dependencies that were probed; all of them are up.
   * @example ["store", "kms", "blobs", "audit"]
   */
  up!: string[];
}
