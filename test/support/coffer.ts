import { Type } from '@nestjs/common';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeApp } from '../../src/bootstrap/create-app';
import { Lifecycle } from '../../src/http';
import { Clock } from '../../src/kernel';
import { MailQueue } from '../../src/mail';
import { Client } from './client';
import { codeIn, type ReceivedMail, readOutbox } from './mails';
import { openApp } from './open-app';

/**
 * The whole service in this process, on its real parts and a real port, with a clock that a test
 * moves.
 */
export interface Coffer {
  readonly client: Client;
  /** Milliseconds by which its time is ahead of the machine's. */
  readonly clock: {
    /** Milliseconds that the time of day is moved, and that the monotonic clock is. */
    offset: number;
    slept: number;
  };
  readonly dataDir: string;
  get<T>(token: Type<T> | (abstract new (...args: never[]) => T)): T;
  /** All mails so far, those that nothing waits for included. */
  mails(): Promise<ReceivedMail[]>;
  /** The codes mailed to an address so far, oldest first. */
  codes(address: string): Promise<string[]>;
  close(): Promise<void>;
}

export interface CofferOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Kept at `close`. */
  readonly dataDir?: string;
  /** The time at which it starts, in ms since the epoch; its clock goes on from there. */
  readonly at?: number;
}

export async function startCoffer({ env = {}, dataDir, at }: CofferOptions = {}): Promise<Coffer> {
  const folder = dataDir ?? (await mkdtemp(join(tmpdir(), 'coffer-inside-')));
  const clock = new TestClock(at === undefined ? 0 : at - Date.now());
  const app = await openApp({ RATE_LIMITS: 'off', ...env, DATA_DIR: folder }, { clock });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  const mails = async (): Promise<ReceivedMail[]> => {
    await app.get(MailQueue, { strict: false }).settled();
    return readOutbox(folder);
  };
  return {
    client: new Client(`http://127.0.0.1:${port}`),
    clock,
    dataDir: folder,
    get: (token) => app.get(token, { strict: false }),
    mails,
    codes: async (address) => {
      const withCode = (await mails()).filter(({ to, text }) => to === address && /\b\d{6}\b/.test(text));
      return withCode.map(codeIn);
    },
    close: async () => {
      app.get(Lifecycle).stop();
      // A connection on which no request came yet counts as busy: a close would wait for it for
      // more than a minute.
      const late = setTimeout(() => app.getHttpServer().closeAllConnections(), 1_000);
      await closeApp(app);
      clearTimeout(late);
      if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The time of the machine, moved by as much as a test says. */
class TestClock extends Clock {
  slept = 0;

  constructor(public offset: number) {
    super();
  }

  now(): number {
    return Date.now() + this.offset;
  }

  override elapsed(): number {
    return performance.now() + this.slept;
  }
}
