import { BLOB_STORES } from '../config';
import { type Command, type Work, WrongUsage } from './run';

const HELP = `Usage: coffer-server blobs COMMAND   (in a clone: npm run blobs -- COMMAND)

  migrate --to s3|gridfs|filesystem
             moves all blobs (encrypted contents of files) to that store while the service goes on. Every process of the service must
             have the variables of both stores first (S3_BUCKET and its companions). May be stopped at any time and run again
  adopt      takes the blob store of this environment for that of the installation, although it does not have the mark that the
             installation left: for blobs that were copied without it, or are lost for good. Files whose blobs are missing answer 422
  --help     shows this

It reads the same environment as the service. Afterwards set BLOB_STORE to the new store. docs/operations.md, "Moving blobs".
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
`;

export const blobs: Command = { help: HELP, parse };

const relocation = () => import('./blobs/relocation.js');

function parse([command, option, to, ...rest]: readonly string[]): Work {
  if (command === 'adopt' && option === undefined) return async () => (await relocation()).adopt();
  const store = BLOB_STORES.find((name) => name === to);
  if (command !== 'migrate' || option !== '--to' || store === undefined || rest.length > 0) throw new WrongUsage();
  return async () => (await relocation()).migrate(store);
}
