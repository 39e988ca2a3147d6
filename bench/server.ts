import 'reflect-metadata';
import { loadConfig } from '../src/config';
import { randomSecret } from '../src/crypto';
import { CofferServer } from '../src/bootstrap/server';
import { BaselineController } from './baseline.controller';
import { RotationController } from './rotation.controller';

/**
 * The service as it is, and the baseline's routes beside it. Answers `collect` and `highest` with
 * resident memory in bytes.
 */
async function main(): Promise<void> {
  const config = loadConfig({ newSecret: () => randomSecret(32).toString('base64') });
  const server = await CofferServer.create(config, { controllers: [BaselineController, RotationController] });
  process.on('SIGTERM', () => void server.stop().then(() => process.exit(0)));
  const port = await server.start((error) => {
    throw error;
  });
  watchMemory();
  process.send?.({ url: `http://127.0.0.1:${port}` });
}

function watchMemory(): void {
  let highest = 0;
  const look = (): number => (highest = Math.max(highest, process.memoryUsage.rss()));
  setInterval(look, 20).unref();
  process.on('message', (question) => {
    if (question === 'collect') {
      globalThis.gc?.();
      highest = 0;
    }
    process.send?.({ rss: look() });
  });
}

void main();
