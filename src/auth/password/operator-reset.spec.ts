import { login, signUp } from '../../../test/support/accounts';
import { expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { codeOf, recoveryCodes, withTotp } from '../../../test/support/second-factors';
import { parseUsername, Users } from '../../users';
import { OperatorReset } from './operator-reset';

const NEXT = 'Another-Strong-1-Phrase';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const userOf = async (name: string) => (await coffer.get(Users).byUsername(parseUsername(name)!))!;

describe('A reset by an operator', () => {
  it('removes password, factors and sessions, and its code alone lets the owner in', async () => {
    const { person, client, secret } = await withTotp(coffer);
    await recoveryCodes(client);
    const { username, email, password } = person;
    const code = await coffer.get(OperatorReset).reset('system:admin-cli', await userOf(username));
    expectProblem(await client.get('/me'), 401, 'invalid_session');
    expectProblem(await coffer.client.post('/login', { username, password }), 401, 'login_failed');
    const guessed = { email, code: codeOf(coffer, secret), new_password: NEXT };
    expectProblem(await coffer.client.post('/password/reset', guessed), 401, 'otp_failed');
    expectStatus(await coffer.client.post('/password/reset', { email, code, new_password: NEXT }), 204);
    const { access_token } = await login(coffer.client, { ...person, password: NEXT });
    const factors = (await coffer.client.as(access_token).get('/2fa')).json as object;
    expect(factors).toMatchObject({ two_factor_enabled: false, recovery_codes_left: 0 });
  });

  it('is refused for a disabled account, which keeps its password', async () => {
    const { person } = await signUp(coffer.client);
    const { _id } = await userOf(person.username);
    const disabled = await coffer.get(Users).change(_id, (user) => ({ ...user, state: 'disabled' }));
    await expect(coffer.get(OperatorReset).reset('system:admin-cli', disabled!)).rejects.toThrow('disabled');
    await coffer.get(Users).change(_id, (user) => ({ ...user, state: 'active' }));
    await login(coffer.client, person);
  });
});
