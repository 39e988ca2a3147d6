import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { readFile } from 'node:fs/promises';
import { AuditSink, StartupError, audited } from '../../kernel';
import { MasterKey, MasterKeyRow } from '../../keys/master-key';
import { Retirement } from '../../keys/rotation';
import { withService } from '../app';

/** Destroys a retired version, and all before it, with the token of an operator. */
export async function trim(version: number, tokenFile: string): Promise<string> {
  const token = await tokenIn(tokenFile);
  return withService((app) => destroy(app, version, token));
}

/** A token as an argument would be in the list of processes, and in the shell's history. */
async function tokenIn(path: string): Promise<string> {
  try {
    const token = (await readFile(path === '-' ? '/dev/stdin' : path, 'utf8')).trim();
    if (token !== '') return token;
  } catch {
    // Falls through: what cannot be read holds no token.
  }
  throw new StartupError('There is no token in the file that --token-file names.');
}

async function destroy(app: NestFastifyApplication, version: number, token: string): Promise<string> {
  const intent = { action: 'master-key.trim', actor: 'system:keys-cli', resource: `master-key/${version}` } as const;
  await audited(app.get(AuditSink), intent, async () => {
    const { current } = await app.get(MasterKeyRow).read();
    if (version >= current) throw new StartupError(`Keys are wrapped by this version: the current one is ${current}.`);
    await app.get(Retirement, { strict: false }).requireUnused(version);
    await app.get(MasterKey).trim(version, token);
  });
  return `Master key version ${version} and all before it are destroyed.\n`;
}
