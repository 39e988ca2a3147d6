/**
 * Bytes that look alike and must never be mixed up have types of their own. A brand exists at
 * compile time only.
 */
declare const brand: unique symbol;
export type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** Bytes that a user entrusted to us, in clear. */
export type Plaintext = Branded<Buffer, 'Plaintext'>;
/** A record envelope (docs/formats.md): self-describing, authenticated, safe to store. */
export type Ciphertext = Branded<Buffer, 'Ciphertext'>;

export const plaintext = (bytes: Buffer): Plaintext => bytes as Plaintext;
export const ciphertext = (bytes: Buffer): Ciphertext => bytes as Ciphertext;

/** A key as the master key wrapped it. `masterVersion` is the version that opens it. */
export interface WrappedKey {
  readonly masterVersion: number;
  /** Opaque to all but the home that made it: `vault:v3:...` or `local:v3:...`. */
  readonly ciphertext: string;
}
