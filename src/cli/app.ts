import { NestFactory } from '@nestjs/core';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from '../app.module';
import { Config, loadConfig } from '../config';
import { randomSecret } from '../crypto';
import { createServerAdapter } from '../http';
import { StartupError, applyTestSettings } from '../kernel';
import { MasterKey } from '../keys/master-key';
import { StartOptions, Startup } from '../bootstrap/startup';
import { Store } from '../store';

/** For commands: the service's own composition, opened in the same order, without a port, jobs and schedules. @throws StartupError */
export async function withService<T>(
  act: (app: NestFastifyApplication) => Promise<T>,
  options: StartOptions = {},
): Promise<T> {
  const config: Config = loadConfig({ newSecret: () => randomSecret(32).toString('base64') });
  applyTestSettings(config);
  const adapter = createServerAdapter(config.http);
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.forConfig(config), adapter, {
    bodyParser: false,
    abortOnError: false,
    logger: ['error'],
  });
  try {
    const startup = app.get(Startup);
    if (!(await startup.attempt(options))) throw new StartupError(`This does not serve: ${startup.waitsFor}.`);
    return await act(app);
  } finally {
    await app.close();
    await app.get(MasterKey).close();
    await app.get(Store).close();
  }
}
