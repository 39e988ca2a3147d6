import { HOUR } from '../../kernel';
import { AskedMail, decide, SentMail } from './mail-shares';
import { mailboxOf } from './mailbox';

const T = Date.UTC(2026, 10, 30);

/** A mailbox that records which of several requested mails are sent. */
class Mailbox {
  sent: readonly SentMail[] = [];
  now = T;

  ask(kind: AskedMail, client?: string): boolean {
    const decision = decide(this.sent, { kind, client }, (this.now += 1));
    if (decision.waitMs === 0) this.sent = decision.sent;
    return decision.waitMs === 0 && decision.goesOut;
  }

  many(count: number, kind: AskedMail, client?: string): number {
    return Array.from({ length: count }, () => this.ask(kind, client)).filter(Boolean).length;
  }
}

describe('The mails of one address in an hour', () => {
  it('are ten of all kinds together', () => {
    const box = new Mailbox();
    const out = [
      box.many(3, 'stranger', 'a'),
      box.many(3, 'code'),
      box.many(1, 'invitation'),
      box.many(20, 'notice'),
      box.many(20, 'code'),
      box.many(20, 'stranger', 'b'),
    ];
    expect(out).toEqual([3, 3, 1, 3, 0, 0]);
  });

  it('leave one for a notice, however many codes are asked for', () => {
    const box = new Mailbox();
    expect([box.many(20, 'code'), box.many(20, 'notice')]).toEqual([9, 1]);
  });

  it('leave two to the account whatever strangers ask for, and a first one to four networks beside a greedy one', () => {
    const box = new Mailbox();
    expect(box.many(20, 'stranger', 'greedy')).toBe(4);
    expect(['a', 'b', 'c', 'd', 'e'].map((client) => box.many(1, 'stranger', client))).toEqual([1, 1, 1, 1, 0]);
    expect([box.many(20, 'code'), box.many(20, 'notice')]).toEqual([1, 1]);
  });

  it('are one of strangers to an address that has an account: nine are left, and strangers see no difference', () => {
    const [known, unknown] = [new Mailbox(), new Mailbox()];
    const ask = (box: Mailbox, kind: AskedMail): boolean[] =>
      ['a', 'a', 'b', 'c', 'a', 'd', 'e', 'e', 'f', 'g'].map((client) => {
        const before = box.sent.length;
        box.ask(kind, client);
        return box.sent.length > before;
      });
    expect(ask(known, 'known')).toEqual(ask(unknown, 'stranger'));
    expect(known.sent.filter(({ kind }) => kind === 'known').length).toBe(1);
    expect([known.many(20, 'code'), known.many(20, 'notice')]).toEqual([8, 1]);
  });

  it('are forgotten after an hour, and a clock that jumps locks nobody out', () => {
    const box = new Mailbox();
    expect(box.many(20, 'code')).toBe(9);
    const { waitMs } = decide(box.sent, { kind: 'code', client: undefined }, box.now);
    expect(waitMs).toBeGreaterThan(HOUR - 60_000);
    box.now += waitMs;
    expect(box.many(20, 'code')).toBeGreaterThan(0);
    box.now -= 3 * HOUR;
    expect(box.many(20, 'code')).toBe(9);
  });

  it.each([
    ['Alice@Example.ORG', 'alice@example.org'],
    ['alice+shop@example.org', 'alice@example.org'],
    ['a.l.i.c.e+x@googlemail.com', 'alice@gmail.com'],
    ['+tag@example.org', '+tag@example.org'],
  ])('are counted by mailbox: %s is %s', (address, mailbox) => expect(mailboxOf(address)).toBe(mailbox));
});
