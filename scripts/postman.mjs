#!/usr/bin/env node
// Writes postman/coffer.postman_collection.json and its environment from the OpenAPI document of a running service and the scripted
// walk. `npm run postman` starts a service for it; `--url URL` asks one that runs; `--check` compares with the files and writes nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { answerHelp } from './lib/help.mjs';
import { root, startLiveService } from './lib/live-service.mjs';
import { environment, walk } from './lib/postman-walk.mjs';

answerHelp(import.meta.url);

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete'];
const FILES = ['coffer.postman_collection.json', 'coffer.postman_environment.json'];

/** The value that the document gives as an example, or one that fits the schema. */
function example(document, schema, depth = 0) {
  if (!schema || depth > 8) return undefined;
  if (schema.$ref) return example(document, resolveRef(document, schema.$ref), depth + 1);
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => example(document, part, depth + 1)));
  const either = schema.oneOf ?? schema.anyOf;
  if (either) return example(document, either[0], depth + 1);
  if (schema.type === 'array') return [example(document, schema.items, depth + 1)].filter((item) => item !== undefined);
  if (schema.properties) {
    const fields = Object.entries(schema.properties).map(([name, field]) => [
      name,
      example(document, field, depth + 1),
    ]);
    return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
  }
  return { string: 'string', integer: 0, number: 0, boolean: false, object: {} }[schema.type];
}

const resolveRef = (document, ref) =>
  ref
    .slice(2)
    .split('/')
    .reduce((node, key) => node?.[key], document);

function firstExample(document, content) {
  if (content?.example !== undefined) return content.example;
  const named = Object.values(content?.examples ?? {})[0];
  return named?.value ?? example(document, content?.schema);
}

function bodyOf(document, operation) {
  const content = operation.requestBody?.content ?? {};
  if (content['application/json']) {
    const value = firstExample(document, content['application/json']) ?? {};
    return { mode: 'raw', raw: JSON.stringify(value, undefined, 2), options: { raw: { language: 'json' } } };
  }
  if (content['multipart/form-data']) {
    const { schema } = content['multipart/form-data'];
    const { properties = {} } = schema?.$ref ? resolveRef(document, schema.$ref) : (schema ?? {});
    return {
      mode: 'formdata',
      formdata: Object.entries(properties).map(([key, field]) => formField(document, key, field)),
    };
  }
  return Object.keys(content).length > 0 ? { mode: 'file', file: {} } : undefined;
}

function formField(document, key, field) {
  const description = field.description ?? '';
  if (field.format === 'binary') return { key, type: 'file', src: [], description };
  return { key, type: 'text', value: String(example(document, field) ?? ''), description, disabled: true };
}

function urlOf(document, path, parameters) {
  // A made-up value would be sent as it stands, so without an example the field is left to the reader.
  const valueOf = ({ example: given, schema }) =>
    String(given ?? schema?.example ?? schema?.default ?? schema?.enum?.[0] ?? '');
  const at = (place) => parameters.filter((parameter) => parameter.in === place);
  const postmanPath = path.replace(/\{(\w+)\}/g, ':$1');
  const entry = (parameter) => ({
    key: parameter.name,
    value: valueOf(parameter),
    ...(parameter.description ? { description: parameter.description } : {}),
  });
  const query = at('query').map((parameter) => ({
    ...entry(parameter),
    ...(parameter.required ? {} : { disabled: true }),
  }));
  const variable = at('path').map(entry);
  return {
    raw: `{{base_url}}${postmanPath}`,
    host: ['{{base_url}}'],
    path: postmanPath.split('/').slice(1),
    ...(query.length > 0 ? { query } : {}),
    ...(variable.length > 0 ? { variable } : {}),
  };
}

function headersOf(document, body, parameters) {
  const own = parameters
    .filter((parameter) => parameter.in === 'header')
    .map((parameter) => ({
      key: parameter.name,
      value: String(parameter.example ?? example(document, parameter.schema) ?? ''),
      ...(parameter.description ? { description: parameter.description } : {}),
      ...(parameter.required ? {} : { disabled: true }),
    }));
  return body?.mode === 'raw' ? [{ key: 'Content-Type', value: 'application/json' }, ...own] : own;
}

/** What the route answers, so that an example of each lies beside the request in Postman. */
function responsesOf(document, operation, request) {
  return Object.entries(operation.responses ?? {}).flatMap(([code, answer]) => {
    const [type, content] = Object.entries(answer.content ?? {})[0] ?? [];
    const value = type?.includes('json') ? firstExample(document, content) : undefined;
    if (!/^\d+$/.test(code) || Number(code) >= 300 || value === undefined) return [];
    return [
      {
        name: answer.description || code,
        originalRequest: request,
        status: 'OK',
        code: Number(code),
        header: [{ key: 'Content-Type', value: type }],
        body: JSON.stringify(value, undefined, 2),
      },
    ];
  });
}

function itemOf(document, path, method, operation, shared) {
  const parameters = [...shared, ...(operation.parameters ?? [])].map((item) =>
    item.$ref ? resolveRef(document, item.$ref) : item,
  );
  const body = bodyOf(document, operation);
  const isPublic = (operation.security ?? document.security ?? []).length === 0;
  const request = {
    method: method.toUpperCase(),
    header: headersOf(document, body, parameters),
    ...(isPublic ? { auth: { type: 'noauth' } } : {}),
    ...(body ? { body } : {}),
    url: urlOf(document, path, parameters),
    description: [operation.summary, operation.description].filter(Boolean).join('\n\n'),
  };
  return {
    name: `${method.toUpperCase()} ${path}`,
    request,
    response: responsesOf(document, operation, request),
  };
}

export function collectionOf(document) {
  const folders = new Map(
    (document.tags ?? []).map((tag) => [tag.name, { name: tag.name, description: tag.description ?? '', item: [] }]),
  );
  for (const [path, routes] of Object.entries(document.paths)) {
    for (const method of METHODS.filter((name) => routes[name])) {
      const tag = routes[method].tags?.[0] ?? 'Other';
      if (!folders.has(tag)) folders.set(tag, { name: tag, description: '', item: [] });
      folders.get(tag).item.push(itemOf(document, path, method, routes[method], routes.parameters ?? []));
    }
  }
  return {
    info: {
      name: 'Coffer',
      description: document.info.description ?? '',
      version: document.info.version,
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{access_token}}', type: 'string' }] },
    item: [walk, ...[...folders.values()].filter((folder) => folder.item.length > 0)],
  };
}

async function generate(url) {
  const document = await (await fetch(`${url}/openapi.json`)).json();
  return [collectionOf(document), environment].map((file) => `${JSON.stringify(file, undefined, 2)}\n`);
}

const { values: options } = parseArgs({ options: { url: { type: 'string' }, check: { type: 'boolean' } } });
const service = options.url ? undefined : await startLiveService();
try {
  const texts = await generate(options.url ?? service.url);
  for (const [index, name] of FILES.entries()) {
    const path = join(root, 'postman', name);
    if (!options.check) writeFileSync(path, texts[index]);
    else if (readFileSync(path, 'utf8') !== texts[index]) {
      console.error(`postman/${name} is not what the routes give; run: npm run postman`);
      process.exitCode = 1;
    }
  }
} finally {
  await service?.stop();
}
