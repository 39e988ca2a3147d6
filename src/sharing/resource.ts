/** What is shared, as this module sees it: whose it is and how it is named, and nothing of what it is. */
export interface Resource {
  /** `file`, ... */
  readonly type: string;
  readonly id: string;
  readonly ownerId: string;
}
