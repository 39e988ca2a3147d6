import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { closeApp, createApp } from '../bootstrap/create-app';
import { StartOptions, Startup } from '../bootstrap/startup';
import { loadConfig } from '../config';
import { randomSecret } from '../crypto';
import { StartupError, applyTestSettings } from '../kernel';

/**
 * Opens the installation as the service does, without a port, jobs and schedules.
 * @throws StartupError
 */
export async function withService<T>(
  act: (app: NestFastifyApplication) => Promise<T>,
  options: StartOptions = {},
): Promise<T> {
  const config = loadConfig({ newSecret: () => randomSecret(32).toString('base64') });
  applyTestSettings(config);
  const app = await createApp(config, { logger: ['error'] });
  try {
    const startup = app.get(Startup);
    if (!(await startup.attempt(options))) throw new StartupError(`This does not serve: ${startup.waitsFor}.`);
    return await act(app);
  } finally {
    await closeApp(app);
  }
}
