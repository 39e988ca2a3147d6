import { ApiBodyOptions } from '@nestjs/swagger';

const CONTENT = {
  expires_in: { type: 'integer', minimum: 1, description: 'Seconds until the file is gone', example: 86400 },
  content_type: { type: 'string', description: 'In place of the type of the part', example: 'application/pdf' },
  sha256: { type: 'string', pattern: '^[0-9a-fA-F]{64}$', description: 'What the content must have' },
  client_encrypted: { type: 'boolean', example: false },
  envelope: { type: 'string', maxLength: 16384, description: 'JSON beside a content that the client encrypted' },
  file: { type: 'string', format: 'binary', description: 'The content; the last part of the form' },
};

const NAME = { type: 'string', description: 'In place of the file name of the part', example: 'report.pdf' };

/** The body of an upload, for the OpenAPI document: it is read as a stream, so no DTO describes it. */
export const UPLOAD_FORM: ApiBodyOptions = {
  required: true,
  schema: { type: 'object', required: ['file'], properties: { name: NAME, ...CONTENT } },
};

/** The body of a new version. */
export const CONTENT_FORM: ApiBodyOptions = {
  required: true,
  schema: { type: 'object', required: ['file'], properties: CONTENT },
};
