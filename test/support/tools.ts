import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { bareEnvironment } from './processes';
import { projectRoot } from './root';
import type { Service } from './service';

export type CommandName = 'admin' | 'backup' | 'blobs' | 'keys' | 'receipts';

export interface ToolRun {
  /** Null where it was killed. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The arguments of node for a command of coffer-server as it is built. */
export const commandArgs = (command: CommandName, ...args: readonly string[]): string[] => [
  join(projectRoot(), 'dist/cli/coffer-server.js'),
  command,
  ...args,
];

/** Runs a command in the environment of a service, and reads it to its end. */
export function runTool(
  { env, dataDir }: Pick<Service, 'env' | 'dataDir'>,
  command: CommandName,
  ...args: readonly string[]
): Promise<ToolRun> {
  const options = { env: { ...bareEnvironment(), ...env }, cwd: dataDir };
  return new Promise((resolve) => {
    execFile(process.execPath, commandArgs(command, ...args), options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ code, out, err });
    });
  });
}
