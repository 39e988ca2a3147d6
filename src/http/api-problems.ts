import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { ErrorCode } from '../kernel';
import { CODES, problemType } from './problem';

/** The name of the shared schema; http/openapi/ defines it. */
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

/** One response a status, its codes as named examples. */
export const problemResponse = (codes: readonly ErrorCode[]): ProblemResponse => ({
  description: codes.map((code) => `\`${code}\``).join(', '),
  content: {
    'application/problem+json': {
      schema: { $ref: PROBLEM_SCHEMA },
      examples: Object.fromEntries(codes.map((code) => [code, exampleOf(code)])),
    },
  },
});

/** Documents what a route may refuse with. What every route may answer (401, 429, 500, ...) is added by http/openapi/. */
export function ApiProblems(...codes: ErrorCode[]): MethodDecorator {
  const statuses = [...new Set(codes.map((code) => CODES[code].status))];
  const coded = (status: number): ErrorCode[] => codes.filter((code) => CODES[code].status === status);
  return applyDecorators(...statuses.map((status) => ApiResponse({ status, ...problemResponse(coded(status)) })));
}
