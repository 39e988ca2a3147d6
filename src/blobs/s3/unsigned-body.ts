interface Built {
  readonly request: unknown;
}

/** Where the SDK calls it: before a request is signed. */
export const BEFORE_SIGNING = { step: 'build' } as const;

/**
 * Leaves the body out of the signature of a request: its SHA-256 would cost client and server more than all else of it. The body is ciphertext
 * that each reader authenticates; its CRC-32, in a signed header, stands against accidents, and TLS against everybody between.
 */
export function unsignedBody<Args extends Built, Output>(
  next: (args: Args) => Promise<Output>,
): (args: Args) => Promise<Output> {
  return (args) => {
    const { headers } = args.request as { readonly headers: Record<string, string> };
    headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
    return next(args);
  };
}
