import { join } from 'node:path';
import { Config } from '../config';
import type { createLogger } from '../observability';

/**
 * What a person who has just started the service wants to know: places and stand-ins, never a
 * secret.
 */
export function banner(config: Config, port: number): string {
  const base = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  const lines = [
    `Coffer listens on ${base}`,
    `  Swagger UI    ${config.http.docs ? `${base}/docs` : 'off (DOCS=on switches it on)'}`,
    `  data folder   ${config.dataDir}`,
    `  mail          ${mailPlace(config)}`,
    ...section('Stand-ins, not for real data:', standIns(config)),
    ...section('Secrets that were not set and are generated, mode 0600:', config.generatedSecrets),
  ];
  return `${lines.join('\n')}\n`;
}

function mailPlace({ mail, dataDir }: Config): string {
  return mail.kind === 'smtp' ? `${mail.host}:${mail.port}` : `${join(dataDir, 'outbox')} (*.eml)`;
}

/**
 * In production, at every start: a line for each stand-in, where whoever watches the log sees it.
 */
export function warnOfStandIns(config: Config, logger: Pick<ReturnType<typeof createLogger>, 'warn'>): void {
  if (!config.production) return;
  for (const standIn of standIns(config)) logger.warn({ stand_in: standIn }, 'production runs on a stand-in');
}

/**
 * What stands in for a part of a real installation. Production takes each, since each may be meant,
 * and warns of it at every start.
 */
function standIns({ store, masterKey, mail, generatedSecrets }: Config): readonly string[] {
  return [
    ...(store.engine === 'embedded' ? ['embedded store, for one host; set MONGODB_URL for a replica set'] : []),
    ...(masterKey.home === 'local' ? ['local keyring; set VAULT_ADDR for Vault or OpenBao'] : []),
    ...(mail.kind === 'outbox' ? ['mail goes to a folder; set SMTP_SERVER to send it'] : []),
    ...(generatedSecrets.length > 0 ? ['generated secrets; set them from your own secret store'] : []),
  ];
}

const section = (title: string, items: readonly string[]): readonly string[] =>
  items.length === 0 ? [] : [`  ${title}`, ...items.map((item) => `    - ${item}`)];
