import { request } from 'undici';

export interface Account {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

export const account = (username: string): Account => ({
  username,
  email: `${username}@example.org`,
  password: 'Correct-Horse-7-Battery',
});

/** Registers and logs in; resolves with the access token. */
export async function signUp(url: string, person: Account): Promise<string> {
  await json(url, '/register', person);
  return logIn(url, person);
}

export async function logIn(url: string, { username, password }: Account): Promise<string> {
  const answer = await json<{ access_token: string }>(url, '/login', { username, password });
  return answer.access_token;
}

export async function json<T = unknown>(url: string, path: string, body: unknown, token?: string): Promise<T> {
  const answer = await request(url + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`POST ${path} answered ${answer.statusCode}: ${text}`);
  return JSON.parse(text) as T;
}
