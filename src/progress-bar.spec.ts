import { progressLine } from './progress-bar';

describe('A line of progress', () => {
  it.each<[string, [number, number, number, number], string]>([
    ['begins empty', [0, 200, 0, 40], `[${' '.repeat(23)}]   0%  0 of 200`],
    ['is half full', [100, 200, 0, 40], `[${'#'.repeat(10)}${' '.repeat(11)}]  50%  100 of 200`],
    [
      'counts what is in quarantine as dealt with',
      [198, 200, 2, 50],
      `[${'#'.repeat(14)}] 100%  198 of 200, 2 in quarantine`,
    ],
    ['is full where there was nothing to do', [0, 0, 0, 40], `[${'#'.repeat(25)}] 100%  0 of 0`],
    ['never says more than all', [300, 200, 0, 40], `[${'#'.repeat(21)}] 100%  300 of 200`],
    ['keeps the words where there is no room for a bar', [100, 200, 0, 20], ' 50%  100 of 200'],
    ['is cut on the narrowest terminal', [100, 200, 0, 6], ' 50%  '],
  ])('%s', (_name, [done, total, failed, width], expected) => {
    const line = progressLine(done, total, failed, width);
    expect(line).toBe(expected);
    expect(line.length).toBeLessThanOrEqual(width);
  });

  it('says 100 % only at the end', () => {
    expect(progressLine(99_999, 100_000, 0, 60)).toContain(' 99%');
  });
});
