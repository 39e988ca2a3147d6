/** One promised figure and what this run measured. */
export interface Figure {
  readonly name: string;
  readonly measured: string;
  readonly promised: string;
  /** Undefined where it was not measured. */
  readonly holds: boolean | undefined;
  /** The raw numbers behind it, for the results file. */
  readonly raw: Readonly<Record<string, number | readonly number[]>>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

export function printFigures(figures: readonly Figure[]): void {
  const width = Math.max(...figures.map((figure) => figure.name.length));
  for (const { name, measured, promised, holds } of figures) {
    console.log(
      `${holds === undefined ? 'skip' : holds ? 'pass' : 'FAIL'}  ${name.padEnd(width)}  ${measured}  (promised: ${promised})`,
    );
  }
}

/**
 * How the bytes a second of one side compare to those of the other: `mib` MiB went through either
 * in so many seconds.
 */
export function shareOfRate(name: string, mib: number, least: number, [ours, other]: readonly [Side, Side]): Figure {
  const share = median(other.seconds) / median(ours.seconds);
  const speed = ({ seconds }: Side): string => `${round(mib / median(seconds), 0)} MiB/s`;
  return {
    name,
    measured: `${round(share)} of ${other.name} (${speed(ours)} against ${speed(other)})`,
    promised: `at least ${least}`,
    holds: share >= least,
    raw: { [`${other.name}_s`]: other.seconds, [`${ours.name}_s`]: ours.seconds },
  };
}

export interface Side {
  readonly name: string;
  readonly seconds: readonly number[];
}
