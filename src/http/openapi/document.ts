import { OpenAPIObject } from '@nestjs/swagger';

type PathItem = NonNullable<OpenAPIObject['paths'][string]>;
export type Operation = NonNullable<PathItem['get']>;
export type Schema = Exclude<
  NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string],
  { $ref: string }
>;
export type Parameter = Exclude<NonNullable<Operation['parameters']>[number], { $ref: string }>;
export type RequestBody = Exclude<NonNullable<Operation['requestBody']>, { $ref: string }>;
export type Response = Exclude<Operation['responses'][string], { $ref: string } | undefined>;

export const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'] as const;

export const operationsOf = (document: OpenAPIObject): Operation[] =>
  Object.values(document.paths).flatMap((item) => METHODS.flatMap((method) => item[method] ?? []));

/** Templates of Fastify (`/files/:id`) are `/files/{id}` in the document. */
export function operationOf(document: OpenAPIObject, method: string, path: string): Operation | undefined {
  const item = document.paths[path.replaceAll(/:([^/]+)/g, '{$1}')];
  const known = METHODS.find((name) => name === method.toLowerCase());
  return known && item?.[known];
}

export const isReference = (value: object): value is { $ref: string } => '$ref' in value;

export const parametersOf = ({ parameters = [] }: Operation): Parameter[] =>
  parameters.filter((parameter): parameter is Parameter => !isReference(parameter));

export function bodyOf({ requestBody }: Operation): RequestBody | undefined {
  return requestBody === undefined || isReference(requestBody) ? undefined : requestBody;
}

export const responsesOf = ({ responses }: Operation): [string, Response][] =>
  Object.entries(responses).filter(
    (entry): entry is [string, Response] => entry[1] !== undefined && !isReference(entry[1]),
  );

/** Resolves a reference to its schema; returns a schema unchanged. */
export function resolve(document: OpenAPIObject, schema: Schema | { $ref: string } | undefined): Schema | undefined {
  if (schema === undefined || !isReference(schema)) return schema;
  const found = document.components?.schemas?.[schema.$ref.split('/').at(-1) ?? ''];
  return found === undefined || isReference(found) ? undefined : found;
}

/**
 * Joins the wrapped lines of summaries and descriptions, which come from comments. Paragraphs and
 * lists keep their lines.
 */
export function joinLines(node: object): void {
  const members = node as Record<string, unknown>;
  for (const [name, value] of Object.entries(members)) {
    if (typeof value === 'object' && value !== null) joinLines(value);
    else if (typeof value === 'string' && (name === 'summary' || name === 'description'))
      members[name] = value.replaceAll(/(?<!\n)\n(?![\n\-*|#0-9])/g, ' ');
  }
}
