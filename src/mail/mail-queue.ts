import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, OnApplicationShutdown } from '@nestjs/common';
import { MINUTE, SECOND } from '../kernel';
import { Mail, MailDelayed, Mailer, MailNotTaken } from './mailer';
import { SendingLine, Urgency } from './sending-line';

/** Before each further try. After the last one the mail is dropped: what it said is stale by then, and its owner asks again. */
const PAUSES_MS: readonly number[] = [2 * SECOND, 10 * SECOND, 30 * SECOND, 2 * MINUTE];
/** No try begins later than this: a code is not good for longer. */
const USEFUL_MS = 10 * MINUTE;
/** Of each urgency: a flood of registrations leaves room for notices. */
const MAX_WAITING = 1_000;
/** Connections to the mail server, so that no flood of ours makes it refuse us. */
const AT_ONCE = 4;
/** How long a request waits for its mail. The mail itself has the timeout of its server. */
const PATIENCE_MS = 5 * SECOND;
/** How long a stop waits for what is still in the line. */
const STOP_MS = 5 * SECOND;

interface Delivery {
  readonly mail: Mail;
  readonly urgency: Urgency;
  readonly since: number;
  /** A request still waits for it. */
  awaited: boolean;
  handedOver: boolean;
  reason: string;
}

/**
 * All mails go through here, a few at a time and the urgent ones first. Some have no answer that waits for them: where the answer and
 * its time must not tell whether there was a mail (registration), and notices. Kept in memory, so that no code lies in the store.
 */
@Injectable()
export class MailQueue implements OnApplicationShutdown {
  readonly #log = new Logger('Mail');
  readonly #stop = new AbortController();
  readonly #giveUp = new AbortController();
  readonly #line = new SendingLine(AT_ONCE);
  readonly #waiting = {
    request: new Set<Promise<unknown>>(),
    code: new Set<Promise<unknown>>(),
    notice: new Set<Promise<unknown>>(),
  };

  constructor(private readonly mailer: Mailer) {}

  /**
   * Sends before all that nobody waits for. Resolves when the server has the mail, or may have it. `lost` is called once where the
   * mail is dropped, also after the answer.
   * @throws DomainError `mail_unavailable`: MailDelayed where the mail is still being tried.
   */
  async send(mail: Mail, lost: () => Promise<void>): Promise<void> {
    const delivery = newDelivery(mail, 'request', true);
    const sending = this.#begin(delivery, () => this.#forget(lost));
    const answer = await Promise.race([sending, over(PATIENCE_MS)]);
    delivery.awaited = false;
    if (answer === false) throw new MailNotTaken('unreachable', delivery.reason);
    if (answer === undefined && !delivery.handedOver) throw new MailDelayed();
  }

  /** Never throws and returns at once. A full queue drops the mail and says so in the log. `lost` is called once where it is dropped. */
  post(mail: Mail, urgency: Exclude<Urgency, 'request'> = 'code', lost: () => Promise<void> = nothing): void {
    void this.#begin(newDelivery(mail, urgency, false), () => this.#forget(lost));
  }

  /** Resolves when every mail that was handed in so far has gone out or was given up. */
  async settled(): Promise<void> {
    await Promise.all(Object.values(this.#waiting).flatMap((waiting) => [...waiting]));
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    const late = setTimeout(() => {
      this.#line.close();
      this.#giveUp.abort();
    }, STOP_MS);
    await this.settled();
    clearTimeout(late);
  }

  async #begin(delivery: Delivery, lost: () => Promise<void>): Promise<boolean> {
    const waiting = this.#waiting[delivery.urgency];
    const room = waiting.size < MAX_WAITING && !this.#stop.signal.aborted;
    const sending = (room ? this.#deliver(delivery) : this.#dropped(delivery, 'too many mails are waiting')).then(
      async (sent) => {
        if (!sent) await lost();
        return sent;
      },
    );
    waiting.add(sending);
    return sending.finally(() => waiting.delete(sending));
  }

  async #deliver(delivery: Delivery): Promise<boolean> {
    for (const pause of [...PAUSES_MS, undefined]) {
      const outcome = await this.#line.run(delivery.urgency, () => this.#attempt(delivery));
      if (outcome === 'sent') return true;
      // Whoever waits is told at once that there is no mail server, and asks again.
      if (outcome !== 'deferred' && !(outcome === 'unreachable' && !delivery.awaited)) break;
      if (pause === undefined || !(await this.#paused(pause))) break;
    }
    return this.#dropped(delivery, delivery.reason);
  }

  async #attempt(delivery: Delivery): Promise<'sent' | MailNotTaken['fault']> {
    if (performance.now() - delivery.since > USEFUL_MS) return 'refused';
    const handedOver = (): void => {
      delivery.handedOver = true;
    };
    try {
      await this.mailer.send(delivery.mail, { signal: this.#giveUp.signal, handedOver });
      return 'sent';
    } catch (error) {
      delivery.handedOver = false;
      const { fault, reason } = error instanceof MailNotTaken ? error : UNKNOWN;
      delivery.reason = reason;
      this.#log.warn(`the mail server did not take a mail: ${reason}`);
      return fault;
    }
  }

  #dropped(delivery: Delivery, reason: string): Promise<false> {
    delivery.reason = reason;
    if (!this.#stop.signal.aborted) this.#log.error(`a mail could not be delivered and was dropped: ${reason}`);
    return Promise.resolve(false);
  }

  async #forget(lost: () => Promise<void>): Promise<void> {
    try {
      await lost();
    } catch {
      this.#log.warn('a mail that was dropped still counts as sent: the store did not answer');
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

const UNKNOWN = { fault: 'unreachable', reason: 'unknown fault' } as const;

const newDelivery = (mail: Mail, urgency: Urgency, awaited: boolean): Delivery => ({
  mail,
  urgency,
  since: performance.now(),
  awaited,
  handedOver: false,
  reason: 'it waited too long',
});

const nothing = (): Promise<void> => Promise.resolve();
const over = (ms: number): Promise<undefined> => delay(ms, undefined, { ref: false });
