import { hasPart, longProgram, type LongPart, type Part } from './installed';

export { hasPart, type LongPart, longProgram, type Part, partProgram } from './installed';
export { type Bao, type BaoOptions, type BareBao, startBareBao, startOpenBao } from './openbao';
export { type S3Server, startS3, startVersitygw } from './s3';
export { type Secantus, startSecantus } from './secantus';

/**
 * How a suite that cannot run says so: the reporter of the test command collects these names for
 * its closing lines.
 */
export function skippedName(name: string, reason: string): string {
  return `${name} [skipped: ${reason}]`;
}

/**
 * `describe`, but skipped aloud where a part is missing. Under CI=true a missing part is a failure.
 */
export function describeWithParts(parts: readonly Part[], name: string, suite: () => void): void {
  const missing = parts.filter((part) => !hasPart(part));
  if (missing.length === 0) describe(name, suite);
  else describeMissing(name, `${missing.join(', ')} not installed, run: node scripts/parts.mjs`, suite);
}

export function describeWithPart(part: Part, name: string, suite: () => void): void {
  describeWithParts([part], name, suite);
}

/**
 * A suite over the published vectors in the folder that COFFER_VECTORS names; skipped aloud without
 * it.
 */
export function describeWithVectors(name: string, suite: (folder: string) => void): void {
  const vectors = process.env['COFFER_VECTORS'];
  if (vectors !== undefined && vectors !== '') describe(name, () => suite(vectors));
  else describe.skip(skippedName(name, 'COFFER_VECTORS is not set'), () => suite(''));
}

/** The long form of a suite (kills, fuzzing, soak): `npm run test:long` sets COFFER_LONG. */
export function isLong(): boolean {
  return process.env['COFFER_LONG'] === '1';
}

/**
 * For a part that the test command does not install, since it takes a compiler of its own: skipped
 * aloud without it, under CI=true too.
 */
export function describeWithExtra(part: Part, name: string, suite: () => void): void {
  if (hasPart(part)) describe(name, suite);
  else describe.skip(skippedName(name, `${part} not installed, run: node scripts/parts.mjs --bench`), suite);
}

/**
 * For what only `scripts/parts.mjs --long` installs: skipped aloud where it is missing, under
 * CI=true too.
 */
export function describeWithLongPart(part: LongPart, name: string, suite: (program: string) => void): void {
  const program = longProgram(part);
  if (program !== undefined) describe(name, () => suite(program));
  else describe.skip(skippedName(name, `${part} not installed, run: node scripts/parts.mjs --long`), () => suite(''));
}

function describeMissing(name: string, reason: string, suite: () => void): void {
  if (process.env['CI'] !== 'true') {
    describe.skip(skippedName(name, reason), suite);
    return;
  }
  describe(name, () => {
    it('has the parts that it needs, which CI=true demands', () => {
      throw new Error(reason);
    });
  });
}
