/** Under which name an owner's key lies in Vault: what only the accounts know. A DI token. */
export abstract class OwnerNames {
  /** Undefined where there is no account of this id. */
  abstract nameOf(ownerId: string): Promise<string | undefined>;
}
