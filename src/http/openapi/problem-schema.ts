import { OpenAPIObject } from '@nestjs/swagger';
import { PROBLEM_SCHEMA } from '../api-problems';
import { CODES } from '../problem';
import { Schema } from './document';

/** Declares the shape of all errors once for the whole document. */
export function shareProblem(document: OpenAPIObject): void {
  const { components = {} } = document;
  const content = { 'application/problem+json': { schema: { $ref: PROBLEM_SCHEMA } } };
  const headers = { 'X-Request-Id': { $ref: '#/components/headers/X-Request-Id' } };
  const responses = { ...components.responses, Problem: { description: 'Any other problem', headers, content } };
  document.components = { ...components, responses, schemas: { ...components.schemas, Problem: PROBLEM } };
}

const PROBLEM: Schema = {
  type: 'object',
  description: 'RFC 9457. Further members may follow, as `rotation_id`.',
  required: ['type', 'title', 'status', 'detail', 'instance', 'code'],
  properties: {
    type: { type: 'string', example: 'urn:coffer:problem:not_found' },
    title: { type: 'string', example: 'Not found' },
    status: { type: 'integer', format: 'int32', example: 404 },
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
