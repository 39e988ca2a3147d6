import 'reflect-metadata';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { readFile } from 'node:fs/promises';
import { AuditSink, StartRefused, audited } from './kernel';
import { MasterKey } from './keys/master';
import { Retirement } from './keys/rotation';
import { migrate } from './keys-migrate';
import { WrongUsage, runTool } from './tool';
import { withService } from './with-service';

const HELP = `Usage: npm run keys -- COMMAND

  migrate --to transit|kv|local
             moves the master key to another home while the service serves. It may be ended or killed at any moment and run again. The
             environment names both homes, MASTER_KEY the former one (either of them while the move runs); so does that of each replica
  trim VERSION --token-file PATH
             destroys master key version VERSION and all before it in Vault's Transit engine, after they were retired. This is final: no
             backup of the store that is wrapped by them opens again. PATH holds a token with the operator's policy (deploy/vault), which
             the service never has; - reads it from standard input
  --help     shows this

It reads the same environment as the service, which may run meanwhile.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
`;

async function main(args: readonly string[]): Promise<string> {
  if (args.includes('--help') || args.includes('-h')) return HELP;
  if (args[0] === 'migrate') return migrate(args.slice(1));
  const [command, version = '', option, path = '', ...rest] = args;
  const isSound = command === 'trim' && /^[1-9]\d{0,8}$/.test(version) && option === '--token-file' && path !== '';
  if (!isSound || rest.length > 0) throw new WrongUsage();
  const token = await tokenIn(path);
  return withService((app) => trim(app, Number(version), token));
}

/** A token as an argument would be in the list of processes, and in the shell's history. */
async function tokenIn(path: string): Promise<string> {
  try {
    const token = (await readFile(path === '-' ? '/dev/stdin' : path, 'utf8')).trim();
    if (token !== '') return token;
  } catch {
    // Falls through: what cannot be read holds no token.
  }
  throw new StartRefused('There is no token in the file that --token-file names.');
}

async function trim(app: NestFastifyApplication, version: number, token: string): Promise<string> {
  const intent = { action: 'master-key.trim', actor: 'system:keys-cli', resource: `master-key/${version}` } as const;
  await audited(app.get(AuditSink), intent, async () => {
    await app.get(Retirement, { strict: false }).requireUnused(version);
    await app.get(MasterKey).trim(version, token);
  });
  return `Master key version ${version} and all before it are destroyed.\n`;
}

runTool(main, HELP);
