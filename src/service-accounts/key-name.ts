/** The path of an owner's wraps in Vault where it has no user name. No user name begins so. */
export const keyNameOf = (ownerId: string): string => `_${ownerId}`;
