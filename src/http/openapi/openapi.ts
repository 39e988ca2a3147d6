import { INestApplication, Inject, Injectable } from '@nestjs/common';
import { DocumentBuilder, OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { CONFIG, Config } from '../../config/config';
import { releaseVersion } from '../../config/version';
import { RouteTable } from '../route-table';
import { documentHeaders } from './answer-headers';
import { Operation, bodyOf, operationOf, operationsOf, parametersOf, responsesOf } from './document';
import { BEARER, addPolicy } from './policies';
import { shareProblem } from './problem-schema';
import { closeRequests, prefill, refineSchemas } from './schemas';
import { orderByTags } from './tags';

const DESCRIPTION = [
  'A self-hosted vault: records and files, encrypted under a key of each user, which a master key wraps.',
  'Sign in with `POST /login`, then put the `access_token` into **Authorize**.',
  '⚡ marks acts that want a login or `POST /step-up` within the last 5 minutes.',
  'Every refusal is a problem document (RFC 9457) with a stable `code`. Every answer has an `X-Request-Id`, which the log has too.',
].join('\n\n');

/** The OpenAPI document: what Nest and its Swagger plugin read from the code, and what each route's policy adds to it. */
@Injectable()
export class OpenApi {
  #app: INestApplication | undefined;
  #document: OpenAPIObject | undefined;

  constructor(
    private readonly routes: RouteTable,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  describe(app: INestApplication): void {
    this.#app = app;
  }

  /** Built at the first call: reading all metadata takes a while and delays no start. */
  get document(): OpenAPIObject {
    if (this.#app === undefined) throw new TypeError('the application was not described yet');
    this.#document ??= build(this.#app, this.routes, this.config.http.publicUrl);
    return this.#document;
  }
}

function build(app: INestApplication, routes: RouteTable, publicUrl: string): OpenAPIObject {
  const document = SwaggerModule.createDocument(app, frame(publicUrl), {
    // The name of the handler: chosen, unique, and held by a snapshot, since generated clients name their functions by it.
    operationIdFactory: (_controller, handler) => handler,
    autoTagControllers: true,
  });
  requireUniqueIds(document);
  for (const operation of operationsOf(document)) polish(operation);
  closeRequests(document);
  refineSchemas(document);
  for (const operation of operationsOf(document)) prefill(document, operation);
  for (const route of routes.routes) {
    const operation = operationOf(document, route.method, route.path);
    if (operation !== undefined) addPolicy(operation, route.policy, route.path);
  }
  documentHeaders(document);
  shareProblem(document);
  orderByTags(document);
  return document;
}

function frame(publicUrl: string): Omit<OpenAPIObject, 'paths'> {
  const ticket = 'The `ticket` of `POST /upload-links/open`, for the one file of somebody without an account.';
  return new DocumentBuilder()
    .setOpenAPIVersion('3.0.3')
    .setTitle('Coffer')
    .setDescription(DESCRIPTION)
    .setVersion(releaseVersion())
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addServer(publicUrl)
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'The `access_token` of a login.' }, BEARER)
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: ticket }, 'ticket')
    .build();
}

function requireUniqueIds(document: OpenAPIObject): void {
  const ids = operationsOf(document).map(({ operationId }) => operationId);
  const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
  if (twice.length > 0) throw new TypeError(`several handlers have the names ${twice.join(', ')}`);
}

/** A handler's comment is one text: its first sentence is the title in Swagger UI, the rest the explanation below it. */
function polish(operation: Operation): void {
  const [, title = '', rest = ''] = /^(.*?[.:])(?:\s+(.*))?$/s.exec(operation.summary ?? '') ?? [];
  if (title !== '') operation.summary = title.replace(/[.:]$/, '');
  const explained = [operation.description, rest].filter(Boolean).join('\n\n');
  if (explained !== '') operation.description = explained;
  for (const parameter of parametersOf(operation)) {
    if (parameter.in === 'path') parameter.description ??= PATH_PARAMETERS[parameter.name] ?? 'An opaque id.';
  }
  for (const [status, response] of responsesOf(operation)) {
    if (response.description === '') response.description = status === '204' ? 'Done' : 'Success';
  }
  // The bytes are the whole body here; what describes them stands in the query and the headers.
  for (const [type, content] of Object.entries(bodyOf(operation)?.content ?? {})) {
    if (type.endsWith('octet-stream')) content.schema = { type: 'string', format: 'binary' };
  }
}

const PATH_PARAMETERS: Readonly<Record<string, string>> = {
  name: 'The name of the file.',
  username: 'The user name of the account.',
  version: 'The number of the version.',
};
