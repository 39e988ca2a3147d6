import { DomainError } from './kernel';
import { refusalLine } from './startup';

/** What the operator's command-line tools share. Exit codes: 0 done, 1 refused or failed, 2 wrong usage. */
export class WrongUsage extends Error {}

/**
 * Runs the tool on the arguments of this process, says what it answers, and ends the process. `inWords` gives the text of faults that are
 * the tool's own; anything unforeseen keeps its text to itself.
 */
export function runTool(
  main: (args: readonly string[]) => Promise<string>,
  help: string,
  inWords: (error: unknown) => string | undefined = () => undefined,
): void {
  const explain = (error: unknown): number => {
    if (error instanceof WrongUsage) {
      process.stderr.write(help);
      return 2;
    }
    const said = error instanceof DomainError ? (error.detail ?? error.code) : inWords(error);
    process.stderr.write(`coffer: ${said ?? refusalLine(error)}\n`);
    return 1;
  };
  Promise.resolve()
    .then(() => main(process.argv.slice(2)))
    .then(
      (said) => process.stdout.write(said, () => process.exit(0)),
      (error: unknown) => process.exit(explain(error)),
    );
}
