import { type Command, type Work, WrongUsage } from './run';

const HELP = `Usage: coffer-server backup FOLDER   (in a clone: npm run backup -- FOLDER)

  FOLDER     where the copy goes; it must be empty or not there yet
  --help     shows this

Copies the data folder of an installation on the embedded store, which may be in use: documents as they are at one moment, then blobs, the
keyring, generated secrets. It reads the same environment as the service. How to restore: docs/operations.md, "Restoring".
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
`;

export const backup: Command = { help: HELP, parse };

function parse([folder = '', ...rest]: readonly string[]): Work {
  if (folder === '' || folder.startsWith('-') || rest.length > 0) throw new WrongUsage();
  return async () => (await import('./backup/copy-installation.js')).copyInstallation(folder);
}
