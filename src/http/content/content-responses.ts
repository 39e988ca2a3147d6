import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiProduces, ApiResponse } from '@nestjs/swagger';
import { AnswerHeaders } from '../openapi/answer-headers';

const BYTES = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };

/**
 * Documents the responses of `sendContent` and the headers that it supports. ApiProblems documents
 * the errors.
 */
export const ContentResponses = (): MethodDecorator =>
  applyDecorators(
    ApiProduces('application/octet-stream'),
    ApiHeader({ name: 'Range', required: false, description: 'One range of bytes, as `bytes=0-1023`' }),
    ApiHeader({ name: 'If-Range', required: false, description: 'The range only if the content is this one still' }),
    ApiHeader({ name: 'If-None-Match', required: false, description: 'No body if the content is this one still' }),
    AnswerHeaders('ETag', 'Last-Modified', 'Accept-Ranges', 'Content-Disposition'),
    ApiResponse({ status: 200, description: 'The whole content, as a download', content: BYTES }),
    ApiResponse({ status: 206, description: 'The range', content: BYTES }),
    ApiResponse({ status: 304, description: 'Not modified' }),
  );
