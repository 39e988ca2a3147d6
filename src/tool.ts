import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module';
import { Config, loadConfig } from './config';
import { randomSecret } from './crypto';
import { createServerAdapter } from './http';
import { DomainError, StartRefused } from './kernel';
import { MasterKey } from './keys/master';
import { Startup, refusalLine } from './startup';
import { Store } from './store';

/** What the operator's command-line tools share. Exit codes: 0 done, 1 refused or failed, 2 wrong usage. */
export class WrongUsage extends Error {}

/** The service's own composition, opened in the same order, without a port, jobs and schedules. */
export async function withService<T>(act: (app: NestFastifyApplication) => Promise<T>): Promise<T> {
  const config: Config = loadConfig({ newSecret: () => randomSecret(32).toString('base64') });
  const adapter = createServerAdapter(config.http);
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.forConfig(config), adapter, {
    bodyParser: false,
    abortOnError: false,
    logger: ['error'],
  });
  try {
    if (!(await app.get(Startup).attempt())) throw new StartRefused('The store or the key service does not answer.');
    return await act(app);
  } finally {
    await app.close();
    await app.get(MasterKey).close();
    await app.get(Store).close();
  }
}

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
