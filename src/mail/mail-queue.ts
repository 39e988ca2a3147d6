import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, OnApplicationShutdown } from '@nestjs/common';
import { DomainError, MINUTE, SECOND } from '../kernel';
import { Mail, Mailer } from './mailer';
import { SendingLine, Urgency } from './sending-line';

/** Before each further try. After the last one the mail is dropped: what it said is stale by then, and its owner asks again. */
const PAUSES_MS: readonly number[] = [2 * SECOND, 10 * SECOND, 30 * SECOND, 2 * MINUTE];
/** Of each urgency: a flood of registrations leaves room for notices. */
const MAX_WAITING = 1_000;
/** Connections to the mail server, so that no flood of ours makes it refuse us. */
const AT_ONCE = 4;
/** How long a request waits for its mail to begin. */
const PATIENCE_MS = 5 * SECOND;
/** How long a stop waits for what is still in the line. */
const STOP_MS = 5 * SECOND;

/**
 * All mails go through here, a few at a time and the urgent ones first. Some have no answer that waits for them: where the answer and
 * its time must not tell whether there was a mail (registration), and notices. Kept in memory, so that no code lies in the store.
 */
@Injectable()
export class MailQueue implements OnApplicationShutdown {
  readonly #log = new Logger('Mail');
  readonly #stop = new AbortController();
  readonly #line = new SendingLine(AT_ONCE);
  readonly #waiting = { code: new Set<Promise<void>>(), notice: new Set<Promise<void>>() };

  constructor(private readonly mailer: Mailer) {}

  /** Sends at once, before all that nobody waits for. @throws DomainError `mail_unavailable` */
  async send(mail: Mail): Promise<void> {
    const work = async (): Promise<boolean> => {
      await this.mailer.send(mail);
      return true;
    };
    const sent = await this.#line.run('request', work, AbortSignal.timeout(PATIENCE_MS));
    if (sent === undefined) throw new DomainError('mail_unavailable', { retryAfterSeconds: 30 });
  }

  /** Never throws and returns at once. A full queue drops the mail and says so in the log. */
  post(mail: Mail, urgency: Exclude<Urgency, 'request'> = 'code'): void {
    if (this.#stop.signal.aborted) return;
    const waiting = this.#waiting[urgency];
    if (waiting.size >= MAX_WAITING) {
      this.#log.error('too many mails are waiting for the mail server: one was dropped');
      return;
    }
    const sending = this.#deliver(mail, urgency).finally(() => waiting.delete(sending));
    waiting.add(sending);
  }

  /** Resolves when every mail that was posted so far has gone out or was given up. */
  async settled(): Promise<void> {
    await Promise.all([...this.#waiting.code, ...this.#waiting.notice]);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    const late = setTimeout(() => this.#line.close(), STOP_MS);
    await this.settled();
    clearTimeout(late);
  }

  async #deliver(mail: Mail, urgency: Urgency): Promise<void> {
    for (const pause of [...PAUSES_MS, undefined]) {
      if ((await this.#line.run(urgency, () => this.#sent(mail))) === true) return;
      if (pause === undefined || !(await this.#paused(pause))) break;
    }
    this.#log.error('a mail could not be delivered and was dropped');
  }

  async #sent(mail: Mail): Promise<boolean> {
    try {
      await this.mailer.send(mail);
      return true;
    } catch {
      this.#log.warn('the mail server did not take a mail');
      return false;
    }
  }

  async #paused(ms: number): Promise<boolean> {
    try {
      await delay(ms, undefined, { signal: this.#stop.signal, ref: false });
      return true;
    } catch {
      return false;
    }
  }
}
