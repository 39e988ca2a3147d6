import { DomainError } from './kernel';
import { refusalLine } from './startup';

/** What the operator's command-line tools share. Exit codes: 0 done, 1 refused or failed, 2 wrong usage. */
export class WrongUsage extends Error {}

/** Runs the tool on the arguments of this process, says what it answers, and ends the process. */
export function runTool(main: (args: readonly string[]) => Promise<string>, help: string): void {
  main(process.argv.slice(2)).then(
    (said) => process.stdout.write(said, () => process.exit(0)),
    (error: unknown) => process.exit(explain(error, help)),
  );
}

function explain(error: unknown, help: string): number {
  if (error instanceof WrongUsage) {
    process.stderr.write(help);
    return 2;
  }
  const said = error instanceof DomainError ? (error.detail ?? error.code) : refusalLine(error);
  process.stderr.write(`coffer: ${said}\n`);
  return 1;
}
