import './config/thread-pool';
import 'reflect-metadata';
import { banner, warnOfStandIns } from './bootstrap/banner';
import { loadConfig } from './config';
import { randomSecret } from './crypto';
import { applyTestSettings } from './kernel';
import { createLogger } from './observability';
import { CofferServer } from './bootstrap/server';
import { isForeseen, refusalLine } from './bootstrap/start-failure';

/** npm repeats Ctrl-C to a process that the terminal has signalled: no second signal. */
const ECHO_MS = 250;

async function main(): Promise<void> {
  const config = loadConfig({ newSecret: () => randomSecret(32).toString('base64') });
  applyTestSettings(config);
  const server = await CofferServer.create(config);
  stopOnSignals(server);
  process.stdout.write(banner(config, await server.start(refuse)));
  warnOfStandIns(config, createLogger({ level: config.logLevel }));
}

function stopOnSignals(server: CofferServer): void {
  let first: number | undefined;
  const stop = (): void => {
    if (first !== undefined && performance.now() - first > ECHO_MS) process.exit(1);
    if (first !== undefined) return;
    first = performance.now();
    server.stop().then(() => process.exit(0), refuse);
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

function refuse(error: unknown): never {
  process.stderr.write(`coffer: ${refusalLine(error)}\n`);
  if (!isForeseen(error)) createLogger({ level: 'fatal' }).fatal({ err: error }, 'the start failed');
  process.exit(1);
}

main().catch(refuse);
