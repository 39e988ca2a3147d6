import { Type } from '@nestjs/common';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppOverrides, closeApp, createApp } from '../../src/bootstrap/create-app';
import { Startup } from '../../src/bootstrap/startup';
import { loadConfig } from '../../src/config';
import { testSettings } from './settings';

/** Gives a part of the application, whichever module owns it. */
export type Getter = <T>(token: Type<T> | (abstract new (...args: never[]) => T)) => T;

type Env = Readonly<Record<string, string>>;

/**
 * The application in this process with its installation open. Requests and schedules begin with
 * `listen` or `init`.
 */
export async function openApp(env: Env, overrides: AppOverrides = {}): Promise<NestFastifyApplication> {
  const settings = { LOG_LEVEL: 'silent', ...testSettings(env), ...env };
  const config = loadConfig({ newSecret: () => 'a secret of a test that is long enough', env: settings });
  const app = await createApp(config, { logger: false, ...overrides });
  try {
    if (!(await app.get(Startup).attempt()))
      throw new Error(`the installation does not open: ${app.get(Startup).waitsFor}`);
    return app;
  } catch (error) {
    await closeApp(app);
    throw error;
  }
}
