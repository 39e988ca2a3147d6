import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { ErrorCode } from '../kernel';
import { CODES, problemType } from './problem';

/** Name of the shared schema; http/openapi/ defines it. */
export const PROBLEM_SCHEMA = '#/components/schemas/Problem';

const exampleOf = (code: ErrorCode): object => ({
  summary: code,
  value: {
    type: problemType(code),
    title: CODES[code].title,
    status: CODES[code].status,
    detail: `${CODES[code].title}.`,
    instance: 'urn:request:0199c3a4-7b1e-7c52-9d0a-6f1f4a3b2c1d',
    code,
  },
});

export interface ProblemResponse {
  description: string;
  content: Record<string, { schema: { $ref: string }; examples: Record<string, object> }>;
}

/** One response for a status, with its codes as named examples. */
export const problemResponse = (codes: readonly ErrorCode[]): ProblemResponse => ({
  description: codes.map((code) => `\`${code}\``).join(', '),
  content: {
    'application/problem+json': {
      schema: { $ref: PROBLEM_SCHEMA },
      examples: Object.fromEntries(codes.map((code) => [code, exampleOf(code)])),
    },
  },
});

/**
 * Documents the errors of a route. http/openapi/ adds the errors that every route may return (401,
 * 429, 500, ...).
 */
export function ApiProblems(...codes: ErrorCode[]): MethodDecorator {
  const statuses = [...new Set(codes.map((code) => CODES[code].status))];
  const coded = (status: number): ErrorCode[] => codes.filter((code) => CODES[code].status === status);
  return applyDecorators(...statuses.map((status) => ApiResponse({ status, ...problemResponse(coded(status)) })));
}
