import { type ApiDocument, type ApiParameter, type NamedOperation, operationsIn } from './openapi';
import { type Client } from './client';
import { FormData } from 'undici';
import { register } from './accounts';

export interface Outcome {
  readonly status: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the walk takes ids out of answers
  readonly json: any;
}

/**
 * Calls an operation with what its document fills in, and with these path parameters; a file is
 * `CONTENT`.
 */
export interface Driver {
  send(operation: NamedOperation, path: Readonly<Record<string, string>>): Promise<Outcome>;
  authorize(token: string): Promise<void>;
}

export const CONTENT = { name: 'report.txt', bytes: Buffer.from('hello world') };

/**
 * Operations that nobody can call with given values alone, each with what a person has to bring.
 */
export const NEED_MORE: Readonly<Record<string, string>> = {
  verifyRegistration: 'the code of a mail',
  verifyOtp: 'the code of a mail or an app',
  confirmTotp: 'the code of an app',
  removeTotp: 'a factor that was confirmed by a code',
  removeEmailFactor: 'a factor that was confirmed by a code',
  replaceRecoveryCodes: 'a factor that was confirmed by a code',
  refreshTokens: 'the refresh token of a login',
  openLink: 'the secret of a link',
  downloadLinkContent: 'the ticket of a link',
  openUploadLink: 'the secret of a link',
  confirmEmail: 'the code of a mail',
  resetPassword: 'the code of a mail',
  listSubjects: 'the key of a service account',
  exportSubject: 'the key of a service account',
  eraseSubject: 'the key of a service account',
  declineReceivedGrant: 'a grant by somebody else',
  leaveGroup: 'a group of somebody else',
  getApproval: 'an act of another administrator',
  approveRequest: 'an act of another administrator',
  endApproval: 'an act of another administrator',
  pauseScrub: 'a scrub that runs',
  resumeScrub: 'a scrub that was paused',
  pauseRotation: 'a rotation that runs',
  resumeRotation: 'a rotation that was paused',
  retireMasterKeyVersion: 'a version that nothing needs any more',
  eraseAccount: 'another administrator to stay',
};

/**
 * Calls all other operations once, in an order that makes sense. Resolves with the ids of those
 * that it called.
 */
export async function walk(document: ApiDocument, driver: Driver, anybody: Client): Promise<ReadonlySet<string>> {
  const operations = operationsIn(document);
  const called = new Set<string>();
  const call: Call = async (id, path = {}) => {
    const operation = operations.find(({ operationId }) => operationId === id)!;
    const { status, json } = await driver.send(operation, path);
    const good = status >= 200 && status < 300;
    expect(good ? [id] : [id, status, json]).toEqual([id]);
    called.add(id);
    return json as unknown;
  };
  await call('register');
  await driver.authorize((await call('login')).access_token as string);
  const maria = await register(anybody, {
    username: 'maria',
    email: 'm@example.org',
    password: 'Correct-Horse-7-Battery',
  });
  for (const id of ['getLiveness', 'getReadiness', 'getMetrics', 'getUploadOptions', 'getAccount', 'getKeys'])
    await call(id);
  await walkAccount(call, driver);
  await walkData(call, maria.username);
  await walkFiles(call);
  await walkUploads(call);
  await walkKeys(call);
  await walkAdministration(call, anybody, maria);
  for (const id of ['changeEmail', 'forgotPassword', 'changePassword', 'endOtherSessions']) await call(id);
  await call('logout');
  return called;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as Outcome.json
type Call = (id: string, path?: Readonly<Record<string, string>>) => Promise<any>;

async function walkAccount(call: Call, driver: Driver): Promise<void> {
  await call('sendOtp');
  await driver.authorize((await call('stepUp')).access_token as string);
  await call('login');
  const { items } = (await call('listSessions')) as { items: { id: string; current: boolean }[] };
  await call('endSession', { id: items.find(({ current }) => !current)!.id });
  for (const id of ['getSecondFactors', 'beginTotp', 'getTotpQrCode', 'listMemberships', 'listReceivedGrants'])
    await call(id);
}

async function walkKeys(call: Call): Promise<void> {
  const own = (await call('createApiKey')).id;
  await call('listApiKeys');
  await call('deleteApiKey', { id: own });
  const { id } = await call('createServiceAccount');
  await call('listServiceAccounts');
  const keyId = (await call('createServiceKey', { id })).id;
  await call('listServiceKeys', { id });
  await call('deleteServiceKey', { id, keyId });
  await call('deleteServiceAccount', { id });
}

async function walkData(call: Call, member: string): Promise<void> {
  // The second one: nothing that is filled in may be good for a single time.
  await call('createSensitiveData');
  const { id } = await call('createSensitiveData');
  await call('listSensitiveData');
  for (const act of ['getSensitiveData', 'replaceSensitiveData', 'deleteSensitiveData']) await call(act, { id });
  const group = (await call('createGroup')).id;
  await call('listGroups');
  await call('getGroup', { id: group });
  await call('addGroupMember', { id: group, username: member });
  await call('removeGroupMember', { id: group, username: member });
  await call('deleteGroup', { id: group });
}

async function walkFiles(call: Call): Promise<void> {
  const { id } = await call('uploadFile');
  await call('listFiles');
  for (const act of ['getFileByName', 'downloadFileByName']) await call(act, { name: CONTENT.name });
  for (const act of ['getFile', 'downloadFile', 'getFileKey', 'changeFile', 'replaceFileContent'])
    await call(act, { id });
  await call('listFileVersions', { id });
  await call('restoreFileVersion', { id, version: '1' });
  await call('deleteFileVersion', { id, version: '1' });
  for (const act of ['verifyFile', 'rekeyFile']) await call(act, { id });
  const grant = (await call('createFileGrant', { id })).id;
  await call('listFileGrants', { id });
  await call('revokeFileGrant', { id, grantId: grant });
  const link = (await call('createFileLink', { id })).id;
  await call('listFileLinks', { id });
  await call('removeFileLink', { id, linkId: link });
  await call('deleteFile', { id });
  await call('restoreFile', { id });
  const box = (await call('createUploadLink')).id;
  await call('listUploadLinks');
  await call('removeUploadLink', { id: box });
}

async function walkUploads(call: Call): Promise<void> {
  await call('terminateUpload', { id: (await call('createUpload')).id });
  await call('overrideUploadMethod', { id: (await call('createUpload')).id });
  const { id } = await call('createUpload');
  for (const act of ['getUploadOffset', 'appendToUpload']) await call(act, { id });
}

async function walkAdministration(
  call: Call,
  anybody: Client,
  { username, password }: { username: string; password: string },
): Promise<void> {
  const invitation = (await call('createInvitation')).id;
  await call('listInvitations');
  await call('endInvitation', { id: invitation });
  await call('listApprovals');
  const scrub = (await call('startScrub')).id;
  await call('listScrubs');
  await call('getScrub', { id: scrub });
  const rotation = (await call('rotateMasterKey')).rotation.id;
  await call('listRotations');
  await call('getRotation', { id: rotation });
  await call('rotateOwnKey');
  const tokens = (await anybody.post('/login', { username, password })).json as { access_token: string };
  const { id } = (await anybody.as(tokens.access_token).get('/me')).json as { id: string };
  await call('rotateUserKey', { id });
  await call('listUsers');
  for (const act of ['setUserRole', 'disableUser', 'enableUser', 'unlockUser', 'endUserSessions'])
    await call(act, { id });
  await call('eraseUser', { id });
}

export const sampleOf = ({ example, schema }: ApiParameter): unknown => example ?? schema.example;

/** Sends over HTTP what the document fills in. */
export class HttpDriver implements Driver {
  #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  authorize(token: string): Promise<void> {
    this.#client = this.#client.as(token);
    return Promise.resolve();
  }

  async send({ method, path, parameters = [], requestBody }: NamedOperation, given: Readonly<Record<string, string>>) {
    const address = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(given[name]!));
    const filled = (where: string): Record<string, string> =>
      Object.fromEntries(
        parameters
          .filter((parameter) => parameter.in === where && sampleOf(parameter) !== undefined)
          .map((parameter) => [parameter.name, String(sampleOf(parameter))]),
      );
    const { headers, ...body } = bodyOf(requestBody);
    const answer = await this.#client.send(method, address, {
      query: filled('query'),
      headers: { ...filled('header'), ...headers },
      ...body,
    });
    return { status: answer.status, json: jsonOf(answer.text, answer.headers['location']) };
  }
}

function bodyOf(requestBody: NamedOperation['requestBody']): {
  headers?: Record<string, string>;
  body?: FormData | Buffer;
  json?: unknown;
} {
  const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  if (type === undefined || content === undefined) return {};
  if (type === 'application/json') return { json: content.example };
  if (type !== 'multipart/form-data') {
    return requestBody?.required === true ? { headers: { 'content-type': type }, body: CONTENT.bytes } : {};
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(content.example as Record<string, string>)) {
    if (name !== 'file') form.append(name, value);
  }
  form.append('file', new Blob([new Uint8Array(CONTENT.bytes)]), CONTENT.name);
  return { body: form };
}

/** What an answer says; where it says nothing, the id in its address. */
export function jsonOf(text: string, location: string | undefined): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return { id: location?.split('/').at(-1), text: text.slice(0, 200) };
  }
}
