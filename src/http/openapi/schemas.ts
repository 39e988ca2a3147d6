import { OpenAPIObject } from '@nestjs/swagger';
import { METHODS, Operation, Schema, bodyOf, isReference, operationsOf, parametersOf, resolve } from './document';

const INT32_MAX = 2 ** 31 - 1;

/** Adds to all schemas what TypeScript types do not express. */
export function refineSchemas(document: OpenAPIObject): void {
  for (const schema of Object.values(document.components?.schemas ?? {})) refine(schema);
  for (const operation of operationsOf(document)) {
    for (const { schema } of parametersOf(operation)) refine(schema);
    for (const content of Object.values(bodyOf(operation)?.content ?? {})) refine(content.schema);
  }
}

/** Every number of the API is an integer; the name of a field identifies a time. */
function refine(schema: Schema | { $ref: string } | undefined, name = ''): void {
  if (schema === undefined || isReference(schema)) return;
  if (schema.type === 'number' && schema.format === undefined) schema.type = 'integer';
  if (schema.type === 'integer') schema.format ??= (schema.maximum ?? Infinity) <= INT32_MAX ? 'int32' : 'int64';
  if (schema.type === 'string' && name.endsWith('_at')) schema.format ??= 'date-time';
  for (const [property, inner] of Object.entries(schema.properties ?? {})) refine(inner, property);
  refine(schema.items);
  if (typeof schema.additionalProperties === 'object') refine(schema.additionalProperties);
}

/** Declares that request bodies reject unknown members, as the input pipe does. */
export function closeRequests({ paths, components }: OpenAPIObject): void {
  const bodies = JSON.stringify(Object.values(paths).map((item) => METHODS.map((method) => item[method]?.requestBody)));
  for (const [name, schema] of Object.entries(components?.schemas ?? {})) {
    if (bodies.includes(`"#/components/schemas/${name}"`) && !isReference(schema)) schema.additionalProperties = false;
  }
}

/**
 * Sets the values that Swagger UI fills in. An optional parameter has none, because a sample would
 * narrow the request. A body has the fields with an example; an optional field has one only if the
 * whole body then works.
 */
export function prefill(document: OpenAPIObject, operation: Operation): void {
  for (const { required, schema } of parametersOf(operation)) {
    if (required !== true && schema !== undefined && !isReference(schema)) delete schema.example;
  }
  for (const [type, content] of Object.entries(bodyOf(operation)?.content ?? {})) {
    if (type === 'application/json') content.example ??= exampleOf(resolve(document, content.schema));
    // Without an example Swagger UI invents a text for each field of a form.
    if (type === 'multipart/form-data') content.example ??= { file: '' };
  }
}

function exampleOf(schema: Schema | undefined): Record<string, unknown> {
  const entries = Object.entries(schema?.properties ?? {}).flatMap(([name, inner]) =>
    isReference(inner) || inner.example === undefined ? [] : [[name, inner.example as unknown] as const],
  );
  return Object.fromEntries(entries);
}
