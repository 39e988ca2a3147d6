import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { bareEnvironment } from './processes';
import type { Service } from './service';

export interface ToolRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one of the operator's tools as it is built, in the environment of a service, and reads it to its end. */
export function runTool(
  service: Pick<Service, 'env'>,
  tool: 'admin' | 'keys-cli',
  ...args: string[]
): Promise<ToolRun> {
  const root = join(__dirname, '../..');
  const env = { ...bareEnvironment(), ...service.env };
  return new Promise((resolve) => {
    execFile(process.execPath, [join(root, `dist/${tool}.js`), ...args], { env, cwd: root }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}
