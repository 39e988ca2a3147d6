const { readFileSync, statSync } = require('node:fs');
const { join, relative, sep } = require('node:path');
const { default: Sequencer } = require('@jest/test-sequencer');

const root = join(__dirname, '../..');
/**
 * A guess for a file that was never timed, from its size: most files take about a second for each
 * of so many bytes.
 */
const BYTES_A_SECOND = 2_000;

/**
 * Longest first, by the durations that the repository keeps. Jest's own order rests on a cache that
 * a fresh clone does not have: there a file of minutes may start last and run while the other
 * workers have nothing left to do.
 */
module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    const seconds = JSON.parse(readFileSync(join(root, 'test/durations.json'), 'utf8'));
    const length = ({ path }) =>
      seconds[relative(root, path).split(sep).join('/')] ?? statSync(path).size / BYTES_A_SECOND;
    return [...tests].sort((a, b) => length(b) - length(a) || (a.path < b.path ? -1 : 1));
  }
};
