import { Sealed, Unsealed } from './frame-cipher';

/**
 * Requests of the main thread to a frame worker. Buffers are transferred: neither side copies, and
 * only one side can access them.
 */
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

/**
 * One reply to each `seal` and `unseal`, in order. `failed` means a defect of Coffer, never of the
 * ciphertext.
 */
export interface FrameReply {
  readonly stream: number;
  readonly slab: ArrayBuffer;
  readonly done: Sealed | Unsealed | { readonly failed: true };
}
