import { DomainError } from '../../kernel';
import { PartBuffer, PartBuffers } from './part-buffers';
import { PART_PLAN, PartSizes } from './part-plan';

/** The memory of all puts of a process, by the number of the part that is to be collected. */
export class PartMemory {
  readonly #sizes: readonly { readonly parts: number; readonly buffers: PartBuffers }[];

  constructor(plan: readonly PartSizes[] = PART_PLAN) {
    this.#sizes = plan.map((sizes) => ({ parts: sizes.parts, buffers: new PartBuffers(sizes) }));
  }

  /** For part `number`, from 1. @throws DomainError `too_large` where there is no such part. */
  async take(number: number): Promise<PartBuffer> {
    let last = 0;
    for (const { parts, buffers } of this.#sizes) {
      last += parts;
      if (number <= last) return buffers.take();
    }
    throw new DomainError('too_large', { detail: 'The blob store cannot take more parts.' });
  }
}
