import { ProgressDisplay, progressLine } from './progress';

describe('A line of progress', () => {
  it.each([
    [0, 10, 0, '[----------]   0 %  0 of 10'],
    [5, 10, 0, '[#####-----]  50 %  5 of 10'],
    [10, 10, 0, '[##########] 100 %  10 of 10'],
  ])('shows %d of %d with %d failed', (done, total, failed, line) => {
    expect(progressLine(done, total, failed, line.length)).toBe(line);
  });

  it('counts what failed for the bar, and names it', () => {
    expect(progressLine(9, 10, 1, 80)).toMatch(/^\[#+\] 100 % {2}9 of 10, 1 failed$/);
  });

  it('never says 100 % before the end', () => {
    expect(progressLine(9_999, 10_000, 0, 80)).toContain(' 99 %');
  });

  it('is empty and not broken where nothing has been counted', () => {
    expect(progressLine(0, 0, 0, 30)).toMatch(/^\[-+\] {3}0 % {2}0 of 0$/);
  });

  it('stays within its bounds where more is done than was counted', () => {
    expect(progressLine(12, 10, 0, 40)).toContain('100 %');
  });

  it.each([0, 20, 27, 40, 80, 400])('fits into %d columns, or is the words alone', (width) => {
    const line = progressLine(300, 1200, 2, width);
    expect(line.length <= width || line === '25 %  300 of 1200, 2 failed').toBe(true);
  });
});

describe('The progress of a rotation', () => {
  const rotation = { done: 1, total: 4, failed: 0, state: 'running' } as const;
  const shownOn = (isTTY: boolean): string => {
    let text = '';
    const display = new ProgressDisplay({ isTTY, columns: 40, write: (part) => (text += part) });
    for (const done of [1, 1, 2]) display.show({ ...rotation, done });
    display.show({ ...rotation, done: 2, state: 'paused' });
    display.end();
    return text;
  };

  it('is one line that changes in place on a terminal', () => {
    const text = shownOn(true);
    expect(text.split('\r\u001b[K').slice(1)).toEqual([
      '[#####------------------]  25 %  1 of 4',
      '[###########------------]  50 %  2 of 4',
      '[#######--------]  50 %  2 of 4  paused\n',
    ]);
  });

  it('is a line for each change elsewhere, without a bar and without control characters', () => {
    expect(shownOn(false)).toBe('25 %  1 of 4\n50 %  2 of 4\n50 %  2 of 4  paused\n');
  });
});
