import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, OnApplicationShutdown } from '@nestjs/common';
import { MINUTE, SECOND } from '../kernel';
import { Mail, Mailer } from './mailer';

/** Before each further try. After the last one the mail is dropped: what it said is stale by then, and its owner asks again. */
const PAUSES_MS: readonly number[] = [2 * SECOND, 10 * SECOND, 30 * SECOND, 2 * MINUTE];
const MAX_WAITING = 1_000;

/**
 * Mails that no answer waits for: where the answer and its time must not tell whether there was a mail or whether it went out
 * (registration), and notices of a change that has happened already. Kept in memory, so that no code lies in the store.
 */
@Injectable()
export class MailQueue implements OnApplicationShutdown {
  readonly #log = new Logger('Mail');
  readonly #stop = new AbortController();
  readonly #waiting = new Set<Promise<void>>();

  constructor(private readonly mailer: Mailer) {}

  /** Never throws and returns at once. A full queue drops the mail and says so in the log. */
  post(mail: Mail): void {
    if (this.#stop.signal.aborted) return;
    if (this.#waiting.size >= MAX_WAITING) {
      this.#log.error('too many mails are waiting for the mail server: one was dropped');
      return;
    }
    const sending = this.#deliver(mail).finally(() => this.#waiting.delete(sending));
    this.#waiting.add(sending);
  }

  /** Resolves when every mail that was posted so far has gone out or was given up. */
  async settled(): Promise<void> {
    await Promise.all(this.#waiting);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    await this.settled();
  }

  async #deliver(mail: Mail): Promise<void> {
    for (const pause of [...PAUSES_MS, undefined]) {
      if (await this.#sent(mail)) return;
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
