import { isMediaType } from '../../model/file';

/**
 * The headers of a part as the parser gives them: names in lower case, each byte of a value one
 * character.
 */
export type RawPartHeaders = Readonly<Record<string, readonly string[] | undefined>>;

/** What the headers of a part say, parsed. */
export interface PartHeaders {
  readonly name: string;
  /** Undefined where none is sent; path and all as it was sent. */
  readonly fileName: string | undefined;
  /** With its parameters; undefined where the part does not say it. */
  readonly contentType: string | undefined;
  /** Of a field's text. */
  readonly charset: string;
}

/** Why a part is refused; its message never holds what was sent. */
export class UnfitPart extends Error {}

type Parameters = ReadonlyMap<string, string>;

const PARAMETER = /^[ \t]*;[ \t]*(?:([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\[^])*)"|([^;"]*)))?/;
const EXTENDED = /^([^']*)'[^']*'((?:%[0-9a-f]{2}|[^%'()*\s])*)$/i;
/**
 * RFC 2046, 5.1 and RFC 7578, 4.7: the bytes as they are. A form does not unpack what mail programs
 * packed.
 */
const PLAIN_ENCODINGS = new Set(['7bit', '8bit', 'binary']);

/** Reads what RFC 7578, 4.2 to 4.7, lets a part say. @throws UnfitPart */
export function partHeaders(headers: RawPartHeaders): PartHeaders {
  const parameters = disposition(headers['content-disposition']);
  for (const encoding of headers['content-transfer-encoding'] ?? []) {
    if (PLAIN_ENCODINGS.has(encoding.trim().toLowerCase())) continue;
    throw new UnfitPart('A part of the form has a Content-Transfer-Encoding: send its bytes as they are.');
  }
  const name = parameters.get('name');
  if (name === undefined) throw new UnfitPart('A part of the form has no name.');
  const contentType = headers['content-type']?.[0];
  return {
    name: utf8(name),
    fileName: fileNameOf(parameters),
    contentType: contentType === undefined ? undefined : mediaType(contentType),
    charset: charsetOf(contentType),
  };
}

/** The boundary of a form, by the request's Content-Type. @throws UnfitPart */
export function boundaryOf(contentType: string): string {
  const boundary = parametersOf(contentType).get('boundary') ?? '';
  if (boundary === '') throw new UnfitPart('The Content-Type names no boundary.');
  return boundary;
}

function disposition(values: readonly string[] = []): Parameters {
  const [value = '', ...others] = values;
  if (others.length > 0 || !/^form-data[ \t]*;/i.test(value)) throw new UnfitPart('A part of the form has no name.');
  return parametersOf(value);
}

/**
 * RFC 6266, 4.3: the extended form is the better one, wherever it stands. Some clients put it in
 * quotes.
 */
function fileNameOf(parameters: Parameters): string | undefined {
  const pieces = [...parameters.keys()].some((key) => /^filename\*\d/.test(key));
  if (pieces) throw new UnfitPart('A part of the form has its file name in pieces: send it whole.');
  const extended = parameters.get('filename*');
  if (extended !== undefined) return decodeExtended(extended);
  const plain = parameters.get('filename');
  return plain === undefined ? undefined : utf8(plain);
}

/** RFC 8187, 3.2. */
function decodeExtended(text: string): string {
  const [, charset = '', value = ''] = EXTENDED.exec(text) ?? [];
  const bytes = Buffer.from(
    value.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => byte(hex)),
    'latin1',
  );
  try {
    if (/^(?:utf-8|iso-8859-1)$/i.test(charset)) return decoder(charset, true).decode(bytes);
  } catch {
    /* Not in the charset that it names. */
  }
  throw new UnfitPart('A part of the form has a file name that cannot be read: send filename* by RFC 8187.');
}

/**
 * All parameters behind the first `;`, names in lower case.
 * @throws UnfitPart for one that is broken, or there twice.
 */
function parametersOf(value: string): Parameters {
  const found = new Map<string, string>();
  let rest = value.replace(/^[^;]*/, '').trimEnd();
  while (rest !== '') {
    const [whole, key, quoted, plain] = PARAMETER.exec(rest) ?? [];
    const name = key?.toLowerCase();
    if (whole === undefined || (name !== undefined && found.has(name))) throw broken();
    // Only a quote and a backslash are escaped: paths of Windows come with single backslashes.
    if (name !== undefined) found.set(name, quoted?.replace(/\\(["\\])/g, '$1') ?? plain?.trim() ?? '');
    rest = rest.slice(whole.length).trimStart();
    if (rest !== '' && !rest.startsWith(';')) throw broken();
  }
  return found;
}

/**
 * With its parameters where they are in order, or how a text is to be read is lost; the type alone
 * where they are not.
 */
function mediaType(value: string): string | undefined {
  const [type = ''] = value.split(';', 1);
  const essence = type.trim().toLowerCase();
  const whole = `${essence}${value.slice(type.length)}`.trim();
  return isMediaType(whole) ? whole : essence === '' ? undefined : essence;
}

function charsetOf(contentType = ''): string {
  const [, quoted, plain] = /;[ \t]*charset[ \t]*=[ \t]*(?:"([^"]*)"|([^;\s]+))/i.exec(contentType) ?? [];
  return quoted ?? plain ?? 'utf-8';
}

/** The text of a field. @throws UnfitPart for a charset that is not known. */
export function fieldText(bytes: Buffer, charset: string): string {
  try {
    return decoder(charset).decode(bytes);
  } catch {
    throw new UnfitPart('A field of the form is in a charset that is not known here: send UTF-8.');
  }
}

const decoder = (charset: string, fatal = false) => new TextDecoder(charset, { fatal, ignoreBOM: true });
const utf8 = (latin1: string): string => decoder('utf-8').decode(Buffer.from(latin1, 'latin1'));
const byte = (hex: string): string => String.fromCharCode(parseInt(hex, 16));
const broken = (): UnfitPart => new UnfitPart('A part of the form has a Content-Disposition that cannot be read.');
