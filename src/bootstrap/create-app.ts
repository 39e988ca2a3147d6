import 'reflect-metadata';
import { DynamicModule, NestApplicationOptions, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule, CoreOverrides } from '../app.module';
import { Config } from '../config';
import { HttpTuning, ServerLimits, createServerAdapter, installHttp } from '../http';
import { MasterKey } from '../keys/master-key';
import { Store } from '../store';

export interface AppOptions {
  /** Default: all logs, kept until `Logger.flush()`. */
  readonly logger?: NestApplicationOptions['logger'];
  /** For suites of the HTTP layer that cannot wait as long as a service does. */
  readonly limits?: ServerLimits;
  readonly tuning?: HttpTuning;
}

export interface AppOverrides extends CoreOverrides, AppOptions {
  /** Routes beside those of the service, as the baseline of a bench. */
  readonly controllers?: readonly Type[];
}

/**
 * The whole application, for the service, the commands, benches and tests alike. It opens nothing:
 * `Startup.attempt` opens the installation, and `listen` or `init` begins requests and scheduled
 * tasks.
 */
export function createApp(config: Config, overrides: AppOverrides = {}): Promise<NestFastifyApplication> {
  const root = AppModule.forConfig(config, overrides);
  return createAppOf({ ...root, controllers: [...(overrides.controllers ?? [])] }, config, overrides);
}

/** An application on the HTTP layer with another root module. */
export async function createAppOf(
  root: Type | DynamicModule,
  config: Config,
  { logger, limits, tuning }: AppOptions = {},
): Promise<NestFastifyApplication> {
  const logging = logger === undefined ? { bufferLogs: true, autoFlushLogs: false } : { logger };
  const options = { bodyParser: false, abortOnError: false, ...logging };
  const adapter = createServerAdapter(config.http, limits);
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, options);
  installHttp(app, tuning);
  return app;
}

/** Ends requests, jobs and scheduled tasks first, and the store last. */
export async function closeApp(app: NestFastifyApplication): Promise<void> {
  const [store, masterKey] = [app.get(Store), app.get(MasterKey)];
  await app.close();
  await masterKey.close();
  await store.close();
}
