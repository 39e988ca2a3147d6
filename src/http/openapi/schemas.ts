import { OpenAPIObject } from '@nestjs/swagger';
import { METHODS, Operation, Schema, bodyOf, isReference, operationsOf, parametersOf, resolve } from './document';

const INT32_MAX = 2 ** 31 - 1;

/** Puts right, in all schemas, what the types of TypeScript do not say. */
export function refineSchemas(document: OpenAPIObject): void {
  for (const schema of Object.values(document.components?.schemas ?? {})) refine(schema);
  for (const operation of operationsOf(document)) {
    for (const { schema } of parametersOf(operation)) refine(schema);
    for (const content of Object.values(bodyOf(operation)?.content ?? {})) refine(content.schema);
  }
}

/** Every number of the API is a whole one, and a time is known by its name. */
function refine(schema: Schema | { $ref: string } | undefined, name = ''): void {
  if (schema === undefined || isReference(schema)) return;
  if (schema.type === 'number' && schema.format === undefined) schema.type = 'integer';
  if (schema.type === 'integer') schema.format ??= (schema.maximum ?? Infinity) <= INT32_MAX ? 'int32' : 'int64';
  if (schema.type === 'string' && name.endsWith('_at')) schema.format ??= 'date-time';
  for (const [property, inner] of Object.entries(schema.properties ?? {})) refine(inner, property);
  refine(schema.items);
  if (typeof schema.additionalProperties === 'object') refine(schema.additionalProperties);
}

/** Says of request bodies what the input pipe does with members that it does not know. */
export function closeRequests({ paths, components }: OpenAPIObject): void {
  const bodies = JSON.stringify(Object.values(paths).map((item) => METHODS.map((method) => item[method]?.requestBody)));
  for (const [name, schema] of Object.entries(components?.schemas ?? {})) {
    if (bodies.includes(`"#/components/schemas/${name}"`) && !isReference(schema)) schema.additionalProperties = false;
  }
}

/**
 * What Swagger UI fills in before anybody types. An optional parameter is left out: a sample would narrow what is asked for. A body has the
 * fields that have an example; an optional field gets one only where the whole then works.
 */
export function prefill(document: OpenAPIObject, operation: Operation): void {
  for (const { required, schema } of parametersOf(operation)) {
    if (required !== true && schema !== undefined && !isReference(schema)) delete schema.example;
  }
  for (const [type, content] of Object.entries(bodyOf(operation)?.content ?? {})) {
    if (type === 'application/json') content.example ??= exampleOf(resolve(document, content.schema));
    // Without an example Swagger UI makes up a text for each field of a form.
    if (type === 'multipart/form-data') content.example ??= { file: '' };
  }
}

function exampleOf(schema: Schema | undefined): Record<string, unknown> {
  const entries = Object.entries(schema?.properties ?? {}).flatMap(([name, inner]) =>
    isReference(inner) || inner.example === undefined ? [] : [[name, inner.example as unknown] as const],
  );
  return Object.fromEntries(entries);
}
