const BAR_CHARS = 30;

/** One line of progress, at most `width` characters: `[#####     ]  50 %  5 of 10, 1 failed`. */
export function progressLine(done: number, total: number, failed: number, width: number): string {
  const share = total === 0 ? 1 : Math.min(1, (done + failed) / total);
  const filled = Math.round(share * BAR_CHARS);
  const bar = `[${'#'.repeat(filled)}${' '.repeat(BAR_CHARS - filled)}]`;
  const rest = failed > 0 ? `, ${failed} failed` : '';
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${done} of ${total}${rest}`.slice(0, width);
}
