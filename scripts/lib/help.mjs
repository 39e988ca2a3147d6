import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Prints the comment at the top of a script and ends the process, if the arguments ask for help. */
export function answerHelp(url) {
  const isMain = realpathSync(process.argv[1]) === fileURLToPath(url);
  if (!isMain || !process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) return;
  const lines = readFileSync(fileURLToPath(url), 'utf8').split('\n');
  const first = lines.findIndex((line) => line.startsWith('//'));
  const length = lines.slice(first).findIndex((line) => !line.startsWith('//'));
  const text = lines.slice(first, first + length).map((line) => line.replace(/^\/\/ ?/, ''));
  process.stdout.write(`${text.join('\n')}\n`);
  process.exit(0);
}
