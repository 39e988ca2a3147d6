/** Where blobs lie and, while they are being moved, where to: names of stores. */
export interface BlobPlan {
  readonly home: string;
  readonly to: string | undefined;
}

/** What the installation says. Read anew at each call: it is the same for all processes, and changes while they run. */
export abstract class BlobPlans {
  abstract current(): Promise<BlobPlan>;
  /** New blobs go to `to` from here on. May be repeated, and may turn a move round. */
  abstract begin(to: string): Promise<BlobPlan>;
  /** `to` is the home from here on; not where the move was turned round meanwhile. */
  abstract end(to: string): Promise<BlobPlan>;
}
