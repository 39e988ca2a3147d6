import { Logger } from '@nestjs/common';
import { DomainError } from '../kernel';
import { Mail, MailDelayed, Mailer, MailFault, MailNotTaken, SendOptions } from './mailer';
import { MailQueue } from './mail-queue';

const mail = { to: 'alice@example.org', subject: 'Hello', text: 'Your code: 123456' };

/** A mail server that rejects the first attempts. */
class ShakyMailer extends Mailer {
  readonly taken: Mail[] = [];
  tries = 0;

  constructor(private readonly refusals: number) {
    super();
  }

  send(sent: Mail): Promise<void> {
    this.tries += 1;
    if (this.tries <= this.refusals) return Promise.reject(new DomainError('mail_unavailable'));
    this.taken.push(sent);
    return Promise.resolve();
  }
}

beforeAll(() => {
  Logger.overrideLogger(false);
});

describe('The mail queue', () => {
  it('returns at once and sends', async () => {
    const mailer = new ShakyMailer(0);
    const queue = new MailQueue(mailer);
    queue.post(mail);
    await queue.settled();
    expect(mailer.taken).toEqual([mail]);
  });

  it('tries again where the server did not take it', async () => {
    const mailer = new ShakyMailer(1);
    const queue = new MailQueue(mailer);
    queue.post(mail);
    await queue.settled();
    expect({ tries: mailer.tries, taken: mailer.taken }).toEqual({ tries: 2, taken: [mail] });
  });

  it('stops trying when the service stops', async () => {
    const mailer = new ShakyMailer(100);
    const queue = new MailQueue(mailer);
    queue.post(mail);
    await queue.onApplicationShutdown();
    expect(mailer.tries).toBe(1);
    queue.post(mail);
    await queue.settled();
    expect(mailer.tries).toBe(1);
  });

  it('keeps one mail from holding up another', async () => {
    const mailer = new ShakyMailer(1);
    const queue = new MailQueue(mailer);
    queue.post({ ...mail, subject: 'first' });
    queue.post({ ...mail, subject: 'second' });
    await new Promise(setImmediate);
    expect(mailer.taken.map(({ subject }) => subject)).toEqual(['second']);
    await queue.onApplicationShutdown();
  });

  it('drops what comes on top of a thousand that wait', async () => {
    const mailer = new ShakyMailer(1_000_000);
    const queue = new MailQueue(mailer);
    for (let count = 0; count < 1100; count += 1) queue.post(mail);
    await queue.onApplicationShutdown();
    expect(mailer.tries).toBe(1000);
  });
});

/** Holds each mail until the test releases it. */
class HoldingMailer extends Mailer {
  readonly begun: string[] = [];
  readonly #held: (() => void)[] = [];

  send({ subject }: Mail): Promise<void> {
    this.begun.push(subject);
    return new Promise((resolve) => this.#held.push(resolve));
  }

  async letGo(): Promise<void> {
    for (const release of this.#held.splice(0)) release();
    await new Promise(setImmediate);
  }
}

describe('Mails that come together', () => {
  const named = (subject: string): Mail => ({ ...mail, subject });

  it('are sent four at a time, those that a request waits for first, then codes, then notices', async () => {
    const mailer = new HoldingMailer();
    const queue = new MailQueue(mailer);
    for (let count = 0; count < 6; count += 1) queue.post(named(`notice ${count}`), 'notice');
    queue.post(named('code'), 'code');
    const sending = queue.send(named('request'), () => Promise.resolve());
    await new Promise(setImmediate);
    expect(mailer.begun).toEqual(['notice 0', 'notice 1', 'notice 2', 'notice 3']);
    await mailer.letGo();
    expect(mailer.begun.slice(4)).toEqual(['request', 'code', 'notice 4', 'notice 5']);
    await mailer.letGo();
    await sending;
    await queue.settled();
  });

  it('leave room for a notice where a thousand codes wait', async () => {
    const mailer = new HoldingMailer();
    const queue = new MailQueue(mailer);
    for (let count = 0; count < 1100; count += 1) queue.post(named('code'), 'code');
    queue.post(named('notice'), 'notice');
    while (mailer.begun.length < 1001) await mailer.letGo();
    await mailer.letGo();
    await queue.settled();
    expect(mailer.begun.at(-1)).toBe('notice');
  });
});

/** Replies to each attempt as the test says. */
class ScriptedMailer extends Mailer {
  tries = 0;

  constructor(private readonly script: (MailFault | 'sent' | 'hold' | 'hold after DATA')[]) {
    super();
  }

  async send(_mail: Mail, { signal, handedOver }: SendOptions = {}): Promise<void> {
    const act = this.script[this.tries++] ?? 'sent';
    if (act === 'sent') return;
    if (act !== 'hold' && act !== 'hold after DATA') throw new MailNotTaken(act, 'as the test says');
    if (act === 'hold after DATA') handedOver?.();
    await new Promise<void>((resolve, reject) =>
      signal?.addEventListener('abort', () =>
        act === 'hold' ? reject(new MailNotTaken('unreachable', 'stopped')) : resolve(),
      ),
    );
  }
}

describe('A mail that a request waits for', () => {
  let lost: number;
  const giveBack = (): Promise<void> => {
    lost += 1;
    return Promise.resolve();
  };
  beforeEach(() => {
    lost = 0;
  });

  it('is tried again where the server puts it off', async () => {
    const mailer = new ScriptedMailer(['deferred', 'sent']);
    await new MailQueue(mailer).send(mail, giveBack);
    expect({ tries: mailer.tries, lost }).toEqual({ tries: 2, lost: 0 });
  });

  it.each(['refused', 'unreachable'] as const)('is given back at once where the server has it %s', async (fault) => {
    const mailer = new ScriptedMailer([fault]);
    await expect(new MailQueue(mailer).send(mail, giveBack)).rejects.toMatchObject({ code: 'mail_unavailable' });
    expect({ tries: mailer.tries, lost }).toEqual({ tries: 1, lost: 1 });
  });

  it('goes on after the request has ended, and is given back once when it is lost', async () => {
    const queue = new MailQueue(new ScriptedMailer(['hold']));
    await expect(queue.send(mail, giveBack)).rejects.toBeInstanceOf(MailDelayed);
    expect(lost).toBe(0);
    await queue.onApplicationShutdown();
    expect(lost).toBe(1);
  }, 60_000);

  it('counts as sent where the server has all of it and does not answer', async () => {
    const queue = new MailQueue(new ScriptedMailer(['hold after DATA']));
    await queue.send(mail, giveBack);
    await queue.onApplicationShutdown();
    expect(lost).toBe(0);
  }, 60_000);

  it('is given back once where the queue is full, also behind the answer', async () => {
    const mailer = new HoldingMailer();
    const queue = new MailQueue(mailer);
    for (const urgency of ['request', 'code'] as const) {
      const add = (): unknown =>
        urgency === 'request' ? queue.send(mail, giveBack).catch(() => undefined) : queue.post(mail, urgency, giveBack);
      for (let count = 0; count < 1_000; count += 1) void add();
      expect(lost).toBe(0);
      await add();
      await new Promise(setImmediate);
      expect(lost).toBe(1);
      lost = 0;
    }
    while (mailer.begun.length < 2_000) await mailer.letGo();
    await mailer.letGo();
    await queue.settled();
    expect(lost).toBe(0);
  });

  it('is given back once where nobody waits for it and the server refuses it', async () => {
    const queue = new MailQueue(new ScriptedMailer(['refused']));
    queue.post(mail, 'code', giveBack);
    await queue.settled();
    expect(lost).toBe(1);
  });

  it('is not tried again behind the answer where the server refused it for good', async () => {
    const mailer = new ScriptedMailer(['refused']);
    const queue = new MailQueue(mailer);
    queue.post(mail);
    await queue.settled();
    expect(mailer.tries).toBe(1);
  });
});
