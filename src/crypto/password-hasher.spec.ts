import { argon2id, hash } from 'argon2';
import { Requester, isDomainError, runFor } from '../kernel';
import { PASSWORD_COSTS, PasswordHasher, PasswordOwner } from './password-hasher';

const owner: PasswordOwner = { userId: 'u1', salt: Buffer.alloc(16, 5) };
const hasher = new PasswordHasher({ pepper: 'pepper' });

describe('argon2id', () => {
  it('gives the tag of RFC 9106, 5.3', async () => {
    const tag = await hash(Buffer.alloc(32, 1), {
      raw: true,
      type: argon2id,
      salt: Buffer.alloc(16, 2),
      secret: Buffer.alloc(8, 3),
      associatedData: Buffer.alloc(12, 4),
      memoryCost: 32,
      timeCost: 3,
      parallelism: 4,
      hashLength: 32,
    });
    expect(tag.toString('hex')).toBe('0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659');
  });
});

describe('a password hash', () => {
  let stored: string;
  beforeAll(async () => {
    stored = await hasher.hash('Correct horse 1!', owner);
  });

  it('keeps its form for ever', () => {
    expect(stored).toMatchInlineSnapshot(
      `"$argon2id$v=19$m=65536,t=3,p=1$BQUFBQUFBQUFBQUFBQUFBQ$7yiNAJlNCveEny9VCOWSC2RsmavJb+axKQt/na3bWoE"`,
    );
  });

  it('verifies the password', async () => {
    expect(await hasher.verify('Correct horse 1!', stored, owner)).toEqual({ ok: true, needsRehash: false });
  });

  it.each([
    ['another password', 'Correct horse 1?'],
    ['another case', 'correct horse 1!'],
    ['a space behind it', 'Correct horse 1! '],
    ['a NUL and more behind it', 'Correct horse 1!\0more'],
    ['an empty password', ''],
  ])('refuses %s', async (_name, password) => {
    expect(await hasher.verify(password, stored, owner)).toEqual({ ok: false, needsRehash: false });
  });

  it('does not verify in another account', async () => {
    expect((await hasher.verify('Correct horse 1!', stored, { ...owner, userId: 'u2' })).ok).toBe(false);
  });

  it('does not verify beside another salt', async () => {
    expect((await hasher.verify('Correct horse 1!', stored, { ...owner, salt: Buffer.alloc(16, 6) })).ok).toBe(false);
  });

  it('does not verify without the pepper', async () => {
    const other = new PasswordHasher({ pepper: 'other' });
    expect((await other.verify('Correct horse 1!', stored, owner)).ok).toBe(false);
  });

  it('verifies with the former pepper and asks for a new hash', async () => {
    const renewed = new PasswordHasher({ pepper: 'new', previousPepper: 'pepper' });
    expect(await renewed.verify('Correct horse 1!', stored, owner)).toEqual({ ok: true, needsRehash: true });
  });

  it.each([
    ['low', 'standard'],
    ['standard', 'low'],
  ] as const)('made at %s cost verifies at %s cost, and asks for a new hash', async (made, now) => {
    const hashed = await new PasswordHasher({ pepper: 'pepper', cost: PASSWORD_COSTS[made] }).hash('Ab1!abcd', owner);
    const other = new PasswordHasher({ pepper: 'pepper', cost: PASSWORD_COSTS[now] });
    expect(await other.verify('Ab1!abcd', hashed, owner)).toEqual({ ok: true, needsRehash: true });
    expect(await other.verify('Ab1!abce', hashed, owner)).toEqual({ ok: false, needsRehash: false });
  });

  it('made at the same cost asks for none', async () => {
    const cheap = new PasswordHasher({ pepper: 'pepper', cost: PASSWORD_COSTS.low });
    const hashed = await cheap.hash('Ab1!abcd', owner);
    expect(hashed).toMatch(/^\$argon2id\$v=19\$m=64,t=1,p=1\$/);
    expect(await cheap.verify('Ab1!abcd', hashed, owner)).toEqual({ ok: true, needsRehash: false });
  });

  it.each(['', 'x', '$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA', '$argon2i$v=19$m=65536,t=3,p=1$BQUFBQUFBQUFBQUFBQUFBQ$'])(
    'that is %p verifies nothing',
    async (broken) => expect((await hasher.verify('Correct horse 1!', broken, owner)).ok).toBe(false),
  );
});

describe('a password of unusual letters', () => {
  it('is kept as it was sent: composed and decomposed are two', async () => {
    const stored = await hasher.hash('caf\u00e9-Ab1!', owner);
    expect((await hasher.verify('cafe\u0301-Ab1!', stored, owner)).ok).toBe(false);
  });

  it('may have 1,024 bytes', async () => {
    const long = 'é'.repeat(512);
    expect((await hasher.verify(long, await hasher.hash(long, owner), owner)).ok).toBe(true);
  });

  it('is told apart in its last byte', async () => {
    const stored = await hasher.hash(`${'a'.repeat(1023)}b`, owner);
    expect((await hasher.verify(`${'a'.repeat(1023)}c`, stored, owner)).ok).toBe(false);
  });

  it.each([
    ['over 1,024 bytes', 'é'.repeat(513)],
    ['with a lone surrogate', 'Abcdefg1!\ud800'],
  ])('is refused %s', async (_name, password) => {
    await expect(hasher.hash(password, owner)).rejects.toMatchObject({ code: 'weak_password' });
  });

  it('never verifies over the limit, not even against the hash of nothing', async () => {
    const stored = await hasher.hash('', owner);
    expect((await hasher.verify('a'.repeat(1025), stored, owner)).ok).toBe(false);
  });
});

describe('many logins at once', () => {
  it('are refused beyond the queue, and all others are served', async () => {
    const narrow = new PasswordHasher({ pepper: 'p', concurrency: 1, queue: 3 });
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => narrow.verifyNobody('x')));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      ...Array<string>(4).fill('fulfilled'),
      'rejected',
      'rejected',
    ]);
    expect(refused.every(({ reason }) => isDomainError(reason, 'overloaded') && reason.retryAfterSeconds === 1)).toBe(
      true,
    );
  });

  it('leave the queue as it was', async () => {
    const narrow = new PasswordHasher({ pepper: 'p', concurrency: 1, queue: 1 });
    await Promise.all([narrow.verifyNobody('x'), narrow.verifyNobody('x')]);
    await expect(Promise.all([narrow.verifyNobody('x'), narrow.verifyNobody('x')])).resolves.toHaveLength(2);
  });
});

describe('a flood of passwords', () => {
  const hasherOf = (queue: number): PasswordHasher => new PasswordHasher({ pepper: 'p', concurrency: 1, queue });
  const by = (address: string | undefined, account?: string): Requester => ({ address, account });
  /** The order of the turns, by label; `-` marks evicted entries. */
  async function order(narrow: PasswordHasher, asked: readonly (readonly [Requester, string])[]): Promise<string[]> {
    const told: string[] = [];
    const one = async ([requester, label]: readonly [Requester, string]): Promise<void> => {
      const turn = () => narrow.inTurn(label.slice(0, 1), () => Promise.resolve(told.push(label)));
      await runFor(requester, turn).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
        told.push(`-${label}`);
      });
    };
    const first = narrow.inTurn('first', () => new Promise((resolve) => setImmediate(resolve)));
    await Promise.all([first, ...asked.map(one)]);
    return told;
  }

  it('from one address delays another one by a turn at most', async () => {
    const flood = Array.from({ length: 5 }, (_, at) => [by('1.1.1.1'), `f${at}`] as const);
    const asked = [...flood, [by('2.2.2.2'), 'a0'], [by('3.3.3.3'), 'b0']] as const;
    expect(await order(hasherOf(10), asked)).toEqual(['f0', 'a0', 'b0', 'f1', 'f2', 'f3', 'f4']);
  });

  it('of one account delays others of its address by a turn at most', async () => {
    const flood = Array.from({ length: 4 }, (_, at) => [by('1.1.1.1', 'greedy'), `f${at}`] as const);
    const asked = [...flood, [by('1.1.1.1'), 'a0'], [by('1.1.1.1', 'other'), 'b0']] as const;
    expect(await order(hasherOf(10), asked)).toEqual(['f0', 'a0', 'b0', 'f1', 'f2', 'f3']);
  });

  it('displaces its own newest where the queue is full, and nobody else', async () => {
    const flood = Array.from({ length: 9 }, (_, at) => [by('1.1.1.1'), `f${at}`] as const);
    const others = ['2.2.2.2', '3.3.3.3'].map((address, at) => [by(address), `${'ab'[at]!}0`] as const);
    const told = await order(hasherOf(4), [...flood, ...others]);
    expect(told.filter((label) => !label.startsWith('-'))).toEqual(['f0', 'a0', 'b0', 'f1']);
    expect(told.filter((label) => label.startsWith('-'))).toHaveLength(7);
  });

  it('from a backend that speaks for many is shared out by account', async () => {
    const flood = Array.from({ length: 6 }, (_, at) => [by(undefined), `f${at}`] as const);
    const told = await order(hasherOf(3), [...flood, [by(undefined), 'a0'], [by('2.2.2.2'), 'b0']]);
    expect(told.filter((label) => !label.startsWith('-'))).toEqual(['f0', 'a0', 'b0']);
  });
});
