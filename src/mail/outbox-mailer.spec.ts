import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOutbox } from '../../test/support/mails';
import { Clock } from '../kernel';
import { OutboxMailer } from './outbox-mailer';

class FixedClock extends Clock {
  at = Date.UTC(2026, 10, 22, 13, 30);
  now(): number {
    return this.at;
  }
}

const mail = { to: 'alice@example.org', subject: 'Your login code', text: 'Your login code: 123456\n' };

let dataDir: string;
let clock: FixedClock;
let mailer: OutboxMailer;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'coffer-outbox-'));
  clock = new FixedClock();
  mailer = new OutboxMailer(
    join(dataDir, 'outbox'),
    Object.freeze({ name: 'Coffer', address: 'coffer@example.org' }),
    clock,
  );
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

describe('The outbox folder', () => {
  it('keeps a mail that a mail program reads', async () => {
    await mailer.send(mail);
    const [kept] = await readOutbox(dataDir);
    expect(kept).toMatchObject({ ...mail, text: expect.stringContaining('123456'), from: 'coffer@example.org' });
  });

  it('is readable by its owner alone', async () => {
    await mailer.send(mail);
    const folder = join(dataDir, 'outbox');
    const [file] = await readdir(folder);
    const modes = [await stat(folder), await stat(join(folder, file!))].map(({ mode }) => mode & 0o777);
    expect(modes).toEqual([0o700, 0o600]);
  });

  it('sorts by time, also within a millisecond', async () => {
    for (const text of ['1', '2', '3']) await mailer.send({ ...mail, text });
    clock.at += 1000;
    await mailer.send({ ...mail, text: '4' });
    expect((await readOutbox(dataDir)).map(({ text }) => text.trim())).toEqual(['1', '2', '3', '4']);
  });

  it('leaves no half-written file under a name that readers look at', async () => {
    await mailer.send(mail);
    const files = await readdir(join(dataDir, 'outbox'));
    expect(files.filter((name) => !name.endsWith('.eml'))).toEqual([]);
  });

  it('writes code mails in lines that need no encoding', async () => {
    await mailer.send(mail);
    const [file] = await readdir(join(dataDir, 'outbox'));
    expect(await readFile(join(dataDir, 'outbox', file!), 'utf8')).toContain('\nYour login code: 123456\n');
  });

  it('mails to the one address that it was given, whatever that looks like', async () => {
    await mailer.send({ ...mail, to: 'alice@example.org, mallory@example.org' }).catch(() => undefined);
    const kept = await readOutbox(dataDir);
    expect(kept.map(({ to }) => to)).not.toContain('mallory@example.org');
  });

  it('answers mail_unavailable where the folder cannot be made', async () => {
    await writeFile(join(dataDir, 'outbox'), 'a file where the folder should be');
    await expect(mailer.send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
  });
});
