/**
 * Logs in, uploads, lists and downloads with the types that openapi-typescript made; compiled and
 * run by generated-clients.e2e.spec.ts.
 */
import createClient from 'openapi-fetch';
import type { components, paths } from './schema';

const content = 'what a generated client sends';

type Tokens = components['schemas']['TokensDto'];

export async function run(baseUrl: string, username: string, password: string): Promise<object> {
  const nobody = createClient<paths>({ baseUrl });
  const refused = await nobody.POST('/login', { body: { username, password: 'wrong' } });
  const login = await nobody.POST('/login', { body: { username, password } });
  const { access_token } = login.data as Tokens;
  const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${access_token}` } });
  const data = new FormData();
  data.append('file', new Blob([content], { type: 'text/plain' }), 'form.txt');
  const form = await client.POST('/files', { body: { file: content }, bodySerializer: () => data });
  const raw = await client.POST('/files', {
    params: { query: { name: 'raw.txt', expires_in: 3600 } },
    headers: { 'Content-Type': 'application/octet-stream' },
    body: content,
    bodySerializer: () => content,
  });
  const list = await client.GET('/files', { params: { query: { limit: 10 } } });
  const id = raw.data?.id ?? '';
  const downloaded = await client.GET('/files/{id}/content', { params: { path: { id } }, parseAs: 'text' });
  const versions = await client.GET('/files/{id}/versions', { params: { path: { id } } });
  const total: number | undefined = list.data?.items.reduce((sum, { size }) => sum + size, 0);
  return {
    refused: refused.error?.code,
    names: list.data?.items.map(({ name }) => name),
    sizes: [form.data?.size, raw.data?.size],
    total,
    versions: versions.data?.items.map(({ version }) => version),
    content: downloaded.data,
  };
}
