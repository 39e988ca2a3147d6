/** Where blobs lie and, while they are being moved, where to: names of stores. */
export interface BlobRelocation {
  readonly current: string;
  readonly target?: string;
  /** The location id of each of them that the installation has recorded. */
  readonly locations: Readonly<Record<string, string>>;
}

/**
 * What the installation says. Read anew at each call: it is the same for all processes, and changes
 * while they run.
 */
export abstract class BlobRelocations {
  abstract current(): Promise<BlobRelocation>;
  /**
   * New blobs go to `to` from here on, at that location. May be repeated, and may turn a move
   * round.
   * @throws StartupError where blobs lie in `to` already, at another location
   */
  abstract begin(to: string, location: string): Promise<BlobRelocation>;
  /** `to` is the home from here on; not where the move was turned round meanwhile. */
  abstract end(to: string): Promise<BlobRelocation>;
  /** Records where `name` lies, unless that is recorded. */
  abstract record(name: string, location: string): Promise<BlobRelocation>;
  /** Records it whatever is recorded: the operator's decision. */
  abstract adopt(name: string, location: string): Promise<BlobRelocation>;
}
