import { Sealed, Unsealed } from './frame-cipher';

/** What the main thread says to a frame worker. Buffers are transferred, so neither side copies and only one can touch them. */
export type FrameRequest =
  | {
      readonly kind: 'open';
      readonly stream: number;
      readonly key: ArrayBuffer;
      readonly messageId: ArrayBuffer;
      readonly frameBytes: number;
    }
  | {
      readonly kind: 'seal';
      readonly stream: number;
      readonly slab: ArrayBuffer;
      readonly length: number;
      readonly final: boolean;
    }
  | {
      readonly kind: 'unseal';
      readonly stream: number;
      readonly slab: ArrayBuffer;
      readonly first: number;
      readonly frames: number;
      readonly lastBytes: number | undefined;
    }
  | { readonly kind: 'close'; readonly stream: number };

/** One answer to each `seal` and `unseal`, in their order. `failed` is a fault of ours, never one of the ciphertext. */
export interface FrameReply {
  readonly stream: number;
  readonly slab: ArrayBuffer;
  readonly done: Sealed | Unsealed | { readonly failed: true };
}
