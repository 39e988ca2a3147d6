import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { simpleParser } from 'mailparser';
import { waitFor } from './processes';

const CODE = /\b(\d{6})\b/;

export interface ReceivedMail {
  readonly file: string;
  readonly to: string;
  readonly from: string;
  readonly subject: string;
  readonly text: string;
}

/**
 * The mails in DATA_DIR/outbox, oldest first; a file that is still being written is left for the
 * next look.
 */
export async function readOutbox(dataDir: string): Promise<ReceivedMail[]> {
  const folder = join(dataDir, 'outbox');
  const files = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.eml')).sort();
  return Promise.all(files.map(async (file) => parseMail(file, await readFile(join(folder, file)))));
}

async function parseMail(file: string, bytes: Buffer): Promise<ReceivedMail> {
  const mail = await simpleParser(bytes);
  const to = Array.isArray(mail.to) ? mail.to[0] : mail.to;
  const address = (text: string | undefined): string => (text ?? '').replace(/^.*<|>.*$/g, '');
  return {
    file,
    to: address(to?.text),
    from: address(mail.from?.text),
    subject: mail.subject ?? '',
    text: mail.text ?? '',
  };
}

/** The 6-digit code of a mail. */
export function codeIn(mail: ReceivedMail): string {
  const code = CODE.exec(mail.text)?.[1];
  if (code === undefined) throw new Error(`the mail "${mail.subject}" holds no code`);
  return code;
}

/**
 * Waits for the `nth` mail with a code (from 1; default the latest there is) to an address and
 * gives that.
 */
export async function codeMailedTo(dataDir: string, address: string, nth?: number): Promise<string> {
  return waitFor(`mail ${nth ?? ''} to ${address}`, async () => {
    const mails = (await readOutbox(dataDir)).filter((mail) => mail.to === address && CODE.test(mail.text));
    const mail = nth === undefined ? mails.at(-1) : mails[nth - 1];
    return mail === undefined ? undefined : codeIn(mail);
  });
}
