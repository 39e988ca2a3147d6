export class AliveDto {
  /** @example alive */
  status!: string;
}

export class ReadyDto {
  /** @example ready */
  status!: string;

  /**
   * The parts that were asked, all of which serve.
   * @example ["store", "kms", "blobs", "audit"]
   */
  up!: string[];
}
