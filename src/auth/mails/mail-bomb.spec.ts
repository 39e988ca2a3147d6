import { type Person, newPerson, signUp } from '../../../test/support/accounts';
import { type Client, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { codeOf, type FactorRequest, firstStep, withEmailFactor } from '../../../test/support/second-factors';
import { Clock, MINUTE, SystemSecrets } from '../../kernel';
import { Store } from '../../store';
import { AddressMails } from './address-mails';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer({ env: { TRUSTED_PROXIES: 'loopback' } });
});
afterAll(() => coffer.close());

const mailsTo = async (address: string) => (await coffer.mails()).filter(({ to }) => to === address);

/** An account that a stranger creates with the address of another person. */
async function withAddressOf(victim: string): Promise<{ person: Person; client: Client }> {
  return signUp(coffer.client, { ...newPerson('bomber'), email: victim });
}

describe('An address that nobody has confirmed', () => {
  it('gets no notices, whatever is changed in an account that was made with it', async () => {
    const victim = newPerson('victim').email;
    const { client } = await withAddressOf(victim);
    for (let round = 0; round < 20; round += 1) await client.post('/2fa/recovery-codes');
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    expectStatus(await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) }), 204);
    expectStatus(await client.delete('/2fa/totp'), 204);
    expect(await mailsTo(victim)).toEqual([]);
  });

  it('gets ten mails an hour at most, from however many accounts, addresses and spellings', async () => {
    const victim = newPerson('victim').email;
    const spellings = [victim, victim.toUpperCase(), victim.replace('@', '+1@'), victim.replace('@', '+2@')];
    const accounts = await Promise.all(Array.from({ length: 16 }, (_, at) => withAddressOf(spellings[at % 4]!)));
    const answers = await Promise.all(
      accounts.map(({ person: { username }, client }, at) =>
        client.post('/send-otp', { username }, { headers: { 'x-forwarded-for': `198.51.100.${at}` } }),
      ),
    );
    const sent = answers.filter(({ status }) => status === 200).length;
    expect(answers.filter(({ status }) => status === 429).length).toBe(16 - sent);
    const mails = (await coffer.mails()).filter(({ to }) =>
      spellings.some((one) => one.toLowerCase() === to.toLowerCase()),
    );
    expect({ sent, mails: mails.length }).toEqual({ sent: 8, mails: 8 });
  });

  it('is never sent a user name that a mail program makes a link of', async () => {
    const victim = newPerson('victim').email;
    const username = `www.evil${Date.now() % 100_000}.example.com`;
    const { client } = await signUp(coffer.client, { ...newPerson(), username, email: victim });
    expectStatus(await client.post('/send-otp', { username }), 200);
    const [mail] = await mailsTo(victim);
    expect(mail?.text).toContain('www[.]evil');
    expect(mail?.text).not.toContain(username);
  });
});

/** A login an hour after the last mail. */
async function later(person: Person): Promise<FactorRequest> {
  coffer.clock.offset += 60 * MINUTE;
  return firstStep(coffer.client, person);
}

describe('The mails of an address', () => {
  it('are one allowance over all processes: of sixty reservations at once on two of them ten hold', async () => {
    const [store, secrets] = [coffer.get(Store), coffer.get(SystemSecrets)];
    const processes = [1, 2].map(() => new AddressMails(store, secrets, coffer.get(Clock)));
    const address = newPerson('crowd').email;
    const asked = Array.from({ length: 60 }, (_, at) =>
      processes[at % 2]!.reserve(address, at % 3 ? 'code' : 'notice'),
    );
    const held = (await Promise.all(asked)).filter(({ goesOut }) => goesOut).length;
    expect(held).toBe(10);
  });

  it('are given back where the mail could not be sent', async () => {
    const mails = new AddressMails(coffer.get(Store), coffer.get(SystemSecrets), coffer.get(Clock));
    const address = newPerson('again').email;
    for (let count = 0; count < 20; count += 1) await (await mails.reserve(address, 'code')).giveBack();
    expect((await mails.reserve(address, 'code')).goesOut).toBe(true);
  });

  it('keep one for a notice: who uses up the codes does not hide a change', async () => {
    const { person } = await withEmailFactor(coffer);
    const { username, mfa_token } = await later(person);
    const otp = (await coffer.codes(person.email)).at(-1);
    const answer = await coffer.client.post('/verify-otp', { username, mfa_token, otp });
    const { access_token } = expectStatus(answer, 200) as { access_token: string };
    for (let logins = 0; logins < 12; logins += 1) await firstStep(coffer.client, person);
    expectStatus(await coffer.client.as(access_token).delete('/2fa/email'), 204);
    const mails = await mailsTo(person.email);
    expect(mails.at(-1)?.text).toContain('e-mail was turned off');
  });

  it('say the minutes that their codes are good for', async () => {
    const { person, client } = await signUp(coffer.client);
    await client.post('/send-otp', { username: person.username });
    const [mail] = await mailsTo(person.email);
    expect(mail?.text.replaceAll('\n', ' ')).toContain('good for 10 minutes');
    const otp = (await coffer.codes(person.email)).at(-1);
    coffer.clock.offset += 10 * MINUTE - 2_000;
    expectStatus(await client.post('/verify-otp', { username: person.username, otp }), 200);
  });
});
