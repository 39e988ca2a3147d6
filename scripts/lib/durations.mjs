import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { root } from './live-service.mjs';

const file = join(root, 'test/durations.json');

/** Brings test/durations.json up to date from the JSON results of a jest run; files that are gone leave it. Whole seconds, at least 1. */
export function keepDurations(testResults) {
  const seconds = JSON.parse(readFileSync(file, 'utf8'));
  for (const { name, startTime, endTime } of testResults) {
    const path = relative(root, name).split(sep).join('/');
    seconds[path] = Math.max(1, Math.round((endTime - startTime) / 1_000));
  }
  const kept = Object.entries(seconds).filter(([path]) => existsSync(join(root, path)));
  const longestFirst = kept.sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(longestFirst), undefined, 2)}\n`);
}
