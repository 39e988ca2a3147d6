import { argon2id, hash } from 'argon2';
import { isDomainError } from '../kernel';
import { PasswordHasher, PasswordOwner } from './password-hasher';

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
    expect(refused.every(({ reason }) => isDomainError(reason, 'rate_limited') && reason.retryAfterSeconds === 1)).toBe(
      true,
    );
  });

  it('leave the queue as it was', async () => {
    const narrow = new PasswordHasher({ pepper: 'p', concurrency: 1, queue: 1 });
    await Promise.all([narrow.verifyNobody('x'), narrow.verifyNobody('x')]);
    await expect(Promise.all([narrow.verifyNobody('x'), narrow.verifyNobody('x')])).resolves.toHaveLength(2);
  });
});
