import { ApiBodyOptions } from '@nestjs/swagger';
import { MAX_ENVELOPE_BYTES, MAX_EXPIRY_SECONDS } from './upload-fields';

const CONTENT = {
  expires_in: {
    type: 'integer',
    minimum: 1,
    maximum: MAX_EXPIRY_SECONDS,
    description: 'Seconds until the file is gone',
  },
  content_type: { type: 'string', description: 'In place of the type of the part' },
  sha256: { type: 'string', pattern: '^[0-9a-fA-F]{64}$', description: 'What the content must have' },
  client_encrypted: {
    type: 'string',
    enum: ['true', 'false'],
    description: 'Whether the client has encrypted the content',
  },
  envelope: {
    type: 'string',
    maxLength: MAX_ENVELOPE_BYTES,
    description: 'JSON beside a content that the client encrypted',
  },
  file: { type: 'string', format: 'binary', description: 'The content; the last part of the form' },
};

const NAME = { type: 'string', description: 'In place of the file name of the part' };

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
