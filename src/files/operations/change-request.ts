import { DomainError, SECOND } from '../../kernel/index';
import { FileName, fileName } from '../model/file-name';
import { isMediaType } from '../http/request/upload-fields';

/** What of a file is to change, parsed; what is undefined stays. */
export interface FileChange {
  readonly name: FileName | undefined;
  /** From now on; null takes the end away. */
  readonly expiresInMs: number | null | undefined;
  readonly contentType: string | undefined;
}

/** @throws DomainError `validation_failed` */
export function parseChange(fields: {
  readonly name?: string;
  readonly expires_in?: number | null;
  readonly content_type?: string;
}): FileChange {
  const { name, expires_in: seconds, content_type: contentType } = fields;
  if (contentType !== undefined && !isMediaType(contentType)) throw unfit('/content_type', 'must be a media type');
  return {
    name: parseName(name),
    expiresInMs: typeof seconds === 'number' ? seconds * SECOND : seconds,
    contentType,
  };
}

/** @throws DomainError `validation_failed` */
export function parseName(name: string | undefined): FileName | undefined {
  if (name === undefined) return undefined;
  const parsed = fileName(name);
  if ('fault' in parsed) throw unfit('/name', parsed.fault);
  return parsed.name;
}

const unfit = (pointer: string, message: string): DomainError =>
  new DomainError('validation_failed', { fields: [{ pointer, message }] });
