import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { Clock, DomainError, newId } from '../kernel';
import { composed } from './compose';
import { Mail, Mailer } from './mailer';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * For installations without SMTP: each mail becomes a file `<time>-<id>.eml` in a folder, complete and on disk under that name or
 * not there at all. File names sort by time.
 */
export class OutboxMailer extends Mailer {
  readonly #transport = createTransport({ streamTransport: true, buffer: true, newline: 'unix' });

  constructor(
    private readonly folder: string,
    private readonly from: string,
    private readonly clock: Clock,
  ) {
    super();
  }

  async send(mail: Mail): Promise<void> {
    try {
      const { message } = await this.#transport.sendMail(composed(mail, this.from));
      await this.#store(message as Buffer);
    } catch (error) {
      throw new DomainError('mail_unavailable', { retryAfterSeconds: 30, cause: error });
    }
  }

  async #store(message: Buffer): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: FOLDER_MODE });
    const name = `${new Date(this.clock.now()).toISOString().replaceAll(':', '-')}-${newId()}`;
    const partial = join(this.folder, `.${name}.partial`);
    try {
      await writeDurably(partial, message);
      await rename(partial, join(this.folder, `${name}.eml`));
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }
}

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
