import type { ItemResult } from './master-key';

/** The most items that one call of the port may hold. */
export const MAX_BATCH = 200;

export const accepted = <T>(value: T): ItemResult<T> => ({ ok: true, value });
export const refusedItem = (reason: string): { readonly ok: false; readonly reason: string } => ({ ok: false, reason });

export function checkBatch(items: readonly unknown[]): void {
  if (items.length > MAX_BATCH) throw new TypeError(`a batch holds ${MAX_BATCH} items at most`);
}

export function checkRetirable(version: number, current: number): void {
  if (version >= current) throw new TypeError('the newest master key version is not retired');
}
