import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MailConfig } from '../config';
import { Clock, newId } from '../kernel';
import { composed } from './compose';
import { Mail, Mailer, MailNotTaken } from './mailer';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * For installations without SMTP: writes each mail to a file `<time>-<id>.eml`, atomically and
 * durably. File names sort by time.
 */
export class OutboxMailer extends Mailer {
  constructor(
    private readonly folder: string,
    private readonly from: MailConfig['from'],
    private readonly clock: Clock,
  ) {
    super();
  }

  async send(mail: Mail): Promise<void> {
    try {
      const { message } = await composed(mail, this.from, 'lf');
      await this.#store(message);
    } catch (error) {
      throw new MailNotTaken('unreachable', `the outbox cannot be written: ${codeOf(error)}`);
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

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown fault';
