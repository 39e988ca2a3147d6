import { randomBytes } from 'node:crypto';
import { type Client, expectStatus } from './client';

export interface Person {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

export interface Tokens {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly refresh_token: string;
}

/** A person nobody else in the run has the name of. */
export function newPerson(prefix = 'person'): Person {
  const username = `${prefix}-${randomBytes(5).toString('hex')}`;
  return { username, email: `${username}@example.org`, password: 'Correct-Horse-7-Battery' };
}

export async function register(client: Client, person: Person = newPerson()): Promise<Person> {
  expectStatus(await client.as(undefined).post('/register', person), 200);
  return person;
}

export async function login(client: Client, person: Person): Promise<Tokens> {
  const { username, password } = person;
  return expectStatus(await client.as(undefined).post('/login', { username, password }), 200) as Tokens;
}

/** Registers and logs in a new person: their client and who they are. */
export async function signUp(
  client: Client,
  person: Person = newPerson(),
): Promise<{ person: Person; client: Client }> {
  await register(client, person);
  const tokens = await login(client, person);
  return { person, client: client.as(tokens.access_token) };
}
