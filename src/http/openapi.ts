import { INestApplication, Injectable } from '@nestjs/common';
import { DocumentBuilder, OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { ErrorCode } from '../kernel';
import { PROBLEM_SCHEMA, ProblemResponse, problemResponse } from './api-problems';
import { RoutePolicy } from './policy';
import { CODES } from './problem';
import { RouteTable } from './route-table';

type PathItem = NonNullable<OpenAPIObject['paths'][string]>;
type Operation = NonNullable<PathItem['get']>;
type SchemaObject = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head'] as const;
const BEARER = 'bearer';

const DESCRIPTION = [
  'A self-hosted vault: records and files, encrypted under a key of each user, which a master key wraps.',
  'Sign in with `POST /login`, then put the `access_token` into **Authorize**.',
  'Every refusal is a problem document (RFC 9457) with a stable `code`. Every answer has an `X-Request-Id`, which the log has too.',
].join('\n\n');

/** The OpenAPI document: what Nest and its Swagger plugin read from the code, and what each route's policy adds to it. */
@Injectable()
export class OpenApi {
  #app: INestApplication | undefined;
  #document: OpenAPIObject | undefined;

  constructor(private readonly routes: RouteTable) {}

  describe(app: INestApplication): void {
    this.#app = app;
  }

  /** Built at the first call: reading all metadata takes a while and delays no start. */
  get document(): OpenAPIObject {
    if (this.#app === undefined) throw new TypeError('the application was not described yet');
    this.#document ??= build(this.#app, this.routes);
    return this.#document;
  }
}

function build(app: INestApplication, routes: RouteTable): OpenAPIObject {
  const base = new DocumentBuilder()
    .setTitle('Coffer')
    .setDescription(DESCRIPTION)
    .setVersion('0.1.0')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'The `access_token` of a login.' }, BEARER)
    .build();
  const document = SwaggerModule.createDocument(app, base, {
    operationIdFactory: (_controller, method) => method,
    autoTagControllers: true,
  });
  uniqueOperationIds(document);
  for (const operation of operationsOf(document)) polish(operation);
  closeRequests(document);
  for (const route of routes.routes) {
    const operation = operationOf(document, route.method, route.path);
    if (operation !== undefined) addPolicy(operation, route.policy, route.path);
  }
  shareProblem(document);
  return document;
}

function shareProblem(document: OpenAPIObject): void {
  const { components = {} } = document;
  const content = { 'application/problem+json': { schema: { $ref: PROBLEM_SCHEMA } } };
  const responses = { ...components.responses, Problem: { description: 'Any other problem', content } };
  document.components = { ...components, responses, schemas: { ...components.schemas, Problem: PROBLEM } };
}

function operationOf(document: OpenAPIObject, method: string, path: string): Operation | undefined {
  const item = document.paths[path.replaceAll(/:([^/]+)/g, '{$1}')];
  const known = METHODS.find((name) => name === method.toLowerCase());
  return known && item?.[known];
}

const operationsOf = (document: OpenAPIObject): Operation[] =>
  Object.values(document.paths).flatMap((item) => METHODS.flatMap((method) => item[method] ?? []));

function uniqueOperationIds(document: OpenAPIObject): void {
  const seen = new Map<string, number>();
  for (const operation of operationsOf(document)) {
    const id = operation.operationId ?? 'operation';
    const name = `${id}${capital(operation.tags?.[0] ?? '')}`;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    operation.operationId = count === 1 ? name : `${name}${count}`;
  }
}

/** A handler's comment is one text: its first sentence is the title in Swagger UI, the rest the explanation below it. */
function polish(operation: Operation): void {
  const [, title = '', rest = ''] = /^(.*?[.:])(?:\s+(.*))?$/s.exec(operation.summary ?? '') ?? [];
  if (title !== '') operation.summary = title.replace(/[.:]$/, '');
  const explained = [operation.description, rest].filter(Boolean).join('\n\n');
  if (explained !== '') operation.description = explained;
  for (const [status, response] of Object.entries(operation.responses)) {
    if (response !== undefined && 'description' in response && response.description === '') {
      response.description = status === '204' ? 'Done' : 'Success';
    }
  }
}

/** Says of request bodies what the input pipe does with members that it does not know. */
function closeRequests({ paths, components }: OpenAPIObject): void {
  const bodies = JSON.stringify(Object.values(paths).map((item) => METHODS.map((method) => item[method]?.requestBody)));
  for (const [name, schema] of Object.entries(components?.schemas ?? {})) {
    if (bodies.includes(`"#/components/schemas/${name}"`) && !('$ref' in schema)) schema.additionalProperties = false;
  }
}

const capital = (tag: string): string =>
  tag
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

function addPolicy(operation: Operation, policy: RoutePolicy, path: string): void {
  operation.security = securityOf(policy);
  if (policy.stepUp === true) {
    const note = 'Needs a login or `POST /step-up` within the last 5 minutes.';
    operation.description = [operation.description, note].filter(Boolean).join('\n\n');
  }
  if (policy.idempotent !== undefined) operation.parameters = [...(operation.parameters ?? []), IDEMPOTENCY_KEY];
  if (policy.errors === 'tus') {
    operation.responses['default'] = { description: 'A refusal of tus: its status, and a line of text' };
    return;
  }
  const always = codesOf(policy, path, operation.requestBody !== undefined);
  for (const status of new Set(always.map((code) => CODES[code].status))) {
    operation.responses[status] = mergeCodes(operation.responses[status], always, status);
  }
  operation.responses['default'] ??= { $ref: '#/components/responses/Problem' };
}

const securityOf = ({ access }: RoutePolicy): Record<string, string[]>[] => {
  if (access === 'public') return [];
  return access === 'optional' ? [{}, { [BEARER]: [] }] : [{ [BEARER]: [] }];
};

/** What a route may answer by its policy alone, whatever its handler does. */
function codesOf(policy: RoutePolicy, path: string, hasBody: boolean): ErrorCode[] {
  const signedIn = policy.access !== 'public';
  const codes: (ErrorCode | false)[] = [
    'validation_failed',
    hasBody && 'invalid_json',
    hasBody && 'too_large',
    hasBody && 'unsupported_media_type',
    hasBody && 'request_timeout',
    signedIn && 'unauthenticated',
    signedIn && 'token_expired',
    signedIn && 'invalid_session',
    policy.stepUp === true && 'step_up_required',
    policy.access === 'administrator' && 'permission_denied',
    path.includes(':') && 'not_found',
    policy.idempotent !== undefined && 'idempotency_running',
    policy.idempotent !== undefined && 'idempotency_mismatch',
    (policy.rateLimit ?? policy.costly) !== undefined && 'rate_limited',
    'internal',
    policy.always !== true && 'store_unavailable',
    policy.always !== true && 'kms_unavailable',
    policy.always !== true && 'audit_unavailable',
    policy.always !== true && 'shutting_down',
  ];
  return codes.filter((code): code is ErrorCode => code !== false);
}

/** Codes that the handler declared (ApiProblems) and those of the policy, under one status. */
function mergeCodes(declared: object | undefined, codes: readonly ErrorCode[], status: number): ProblemResponse {
  const examples = (declared as { content?: Record<string, { examples?: object }> } | undefined)?.content;
  const known = Object.keys(examples?.['application/problem+json']?.examples ?? {}) as ErrorCode[];
  const added = codes.filter((code) => CODES[code].status === status && !known.includes(code));
  return problemResponse([...known, ...added]);
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'Makes a repeated call safe for 24 hours: it gets the first answer and does nothing.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
  example: '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
} as const;

const PROBLEM: SchemaObject = {
  type: 'object',
  description: 'RFC 9457. Further members may follow, as `rotation_id`.',
  required: ['type', 'title', 'status', 'detail', 'instance', 'code'],
  properties: {
    type: { type: 'string', example: 'urn:coffer:problem:not_found' },
    title: { type: 'string', example: 'Not found' },
    status: { type: 'integer', example: 404 },
    detail: { type: 'string', example: 'Not found.' },
    instance: { type: 'string', example: 'urn:request:0199c3a4-7b1e-7c52-9d0a-6f1f4a3b2c1d' },
    code: { type: 'string', enum: Object.keys(CODES), example: 'not_found' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'message'],
        properties: {
          pointer: { type: 'string', description: 'JSON Pointer (RFC 6901)', example: '/data_type' },
          in: { type: 'string', enum: ['query', 'path', 'header'], description: 'Absent where it is the body.' },
          message: { type: 'string', example: 'must be a string' },
        },
      },
    },
  },
};
