import { isLong } from './parts';
import { Seeded } from './seeded';

/** Of a row of a table its first cell. */
const nameOf = (item: unknown): string => String(Array.isArray(item) ? item[0] : item);

/**
 * All of `points` in the long form, else `count` of them, drawn by a seed that is printed:
 * COFFER_SEED draws the same ones again. For a profile on which a kill proves what it proves on the
 * embedded store as well, where no point is ever left out.
 */
export function drawn<T>(what: string, points: readonly T[], count: number): T[] {
  if (isLong() || points.length <= count) return [...points];
  const random = new Seeded();
  const left = [...points];
  const taken = Array.from({ length: count }, () => left.splice(random.below(left.length), 1)[0]!);
  process.stdout.write(`${what}: ${taken.map(nameOf).join(', ')} (COFFER_SEED=${random.seed})\n`);
  return taken;
}
