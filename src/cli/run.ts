import { refusalLine } from '../bootstrap/start-failure';
import { DomainError } from '../kernel';

/** The arguments are not those of the command: it answers with its usage. */
export class WrongUsage extends Error {}

/**
 * One command of coffer-server. Its file loads no part of the application, so that help and
 * refusals come at once.
 */
export interface Command {
  readonly help: string;
  /** Returns the work that the arguments ask for, and begins none of it. @throws WrongUsage */
  parse(args: readonly string[]): Work;
}

/** Resolves with the text for standard output. */
export type Work = () => Promise<string>;

export interface Outcome {
  /** 0: done. 1: refused or failed. 2: wrong usage. */
  readonly code: 0 | 1 | 2;
  readonly out: string;
  readonly err: string;
}

export async function outcomeOf(command: Command, args: readonly string[]): Promise<Outcome> {
  if (args.includes('--help') || args.includes('-h')) return { code: 0, out: command.help, err: '' };
  try {
    return { code: 0, out: await command.parse(args)(), err: '' };
  } catch (error) {
    if (error instanceof WrongUsage) return { code: 2, out: '', err: command.help };
    return { code: 1, out: '', err: `coffer: ${explain(error)}\n` };
  }
}

/** The text of an error that nobody foresaw may hold a secret, so only its kind is written. */
const explain = (error: unknown): string =>
  error instanceof DomainError ? (error.detail ?? error.code) : refusalLine(error);

/** Runs a command on the arguments of this process, writes its outcome and ends the process. */
export async function runCommand(command: Command, args: readonly string[]): Promise<void> {
  const { code, out, err } = await outcomeOf(command, args);
  process.stderr.write(err);
  process.stdout.write(out, () => process.exit(code));
}
