const SHORTEST_BAR = 10;

/**
 * One line of at most `width` columns, as `[#####---------------]  25 %  300 of 1200, 2 failed`. What has failed is not waited for and counts
 * for the bar. Narrower than the words are, it is the words alone.
 */
export function progressLine(done: number, total: number, failed: number, width: number): string {
  const share = total === 0 ? 0 : Math.min(1, (done + failed) / total);
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  const words = `${percent} %  ${done} of ${total}${failed === 0 ? '' : `, ${failed} failed`}`;
  const columns = Math.min(50, width - words.length - 3);
  if (columns < SHORTEST_BAR) return words.trimStart();
  const filled = Math.floor(share * columns);
  return `[${'#'.repeat(filled)}${'-'.repeat(columns - filled)}] ${words}`;
}
