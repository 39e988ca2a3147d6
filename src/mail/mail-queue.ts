import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, OnApplicationShutdown } from '@nestjs/common';
import { MINUTE, SECOND } from '../kernel';
import { Mail, MailDelayed, Mailer, MailNotTaken } from './mailer';
import { SendingLine, Urgency } from './sending-line';

/**
 * Pauses before the retries. After the last retry the mail is dropped: its content is stale by
 * then, and the user can request a new one.
 */
const PAUSES_MS: readonly number[] = [2 * SECOND, 10 * SECOND, 30 * SECOND, 2 * MINUTE];
/** No attempt starts later than this, because a code expires after this time. */
const USEFUL_MS = 10 * MINUTE;
/** Limit for each urgency, so that a flood of registrations cannot displace notices. */
const MAX_WAITING = 1_000;
/**
 * Limit of concurrent connections to the mail server, so that the server does not reject us for
 * flooding.
 */
const AT_ONCE = 4;
/**
 * How long a request waits for its mail. Each attempt has the separate timeout of the mail server.
 */
const PATIENCE_MS = 5 * SECOND;
/** How long a shutdown waits for queued mails. */
const STOP_MS = 5 * SECOND;

interface Delivery {
  readonly mail: Mail;
  readonly urgency: Urgency;
  readonly since: number;
  /** True while a request waits for this mail. */
  awaited: boolean;
  handedOver: boolean;
  reason: string;
}

/**
 * Queues all mails, sends a few at a time and the most urgent first.
 * Registration mails and notices have no waiting request, because the response and its timing must
 * not reveal whether a mail was sent. The queue lives in memory, so that no code is written to the
 * store.
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
   * Sends ahead of all mails without a waiting request. Resolves when the server has accepted the
   * mail, or may have.
   * Calls `lost` once if the mail is dropped, even after the response.
   * @throws DomainError `mail_unavailable`; MailDelayed if the queue still retries the mail
   */
  async send(mail: Mail, lost: () => Promise<void>): Promise<void> {
    const delivery = newDelivery(mail, 'request', true);
    const sending = this.#begin(delivery, () => this.#forget(lost));
    const answer = await Promise.race([sending, over(PATIENCE_MS)]);
    delivery.awaited = false;
    if (answer === false) throw new MailNotTaken('unreachable', delivery.reason);
    if (answer === undefined && !delivery.handedOver) throw new MailDelayed();
  }

  /**
   * Queues a mail; never throws and returns at once. A full queue drops the mail and logs an error.
   * Calls `lost` once if the mail is dropped.
   */
  post(mail: Mail, urgency: Exclude<Urgency, 'request'> = 'code', lost: () => Promise<void> = nothing): void {
    void this.#begin(newDelivery(mail, urgency, false), () => this.#forget(lost));
  }

  /** Resolves when every mail queued so far was sent or dropped. */
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
      // A waiting request gets the error at once if the mail server is unreachable, so that the
      // client can retry.
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
