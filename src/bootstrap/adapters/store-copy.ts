/**
 * A copy of the store while it is in use, for the backup command; undefined where the engine has
 * tools of its own for that.
 */
export class StoreCopy {
  constructor(readonly into: ((folder: string) => Promise<void>) | undefined) {}
}
