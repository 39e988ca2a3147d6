import { ArgumentMetadata, Injectable, ValidationError, ValidationPipe } from '@nestjs/common';
import { DomainError, FieldFault, isDomainError } from '../kernel';

const MAX_FAULTS = 20;
const MAX_POINTER_CHARS = 200;
const PARTS: Readonly<Record<string, FieldFault['in']>> = { query: 'query', param: 'path' };

/** Unknown members are refused, nothing is converted silently, and a fault names the field by JSON Pointer and never its value. */
@Injectable()
export class InputPipe extends ValidationPipe {
  constructor() {
    super({
      whitelist: true,
      forbidNonWhitelisted: true,
      forbidUnknownValues: true,
      transform: true,
      stopAtFirstError: true,
      validationError: { target: false, value: false },
      exceptionFactory: (errors) => invalid(errors.flatMap((error) => faultsOf(error, ''))),
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    try {
      return (await super.transform(value, metadata)) as unknown;
    } catch (error) {
      if (!isDomainError(error, 'validation_failed')) throw error;
      const part = PARTS[metadata.type];
      throw part === undefined ? error : invalid(error.fields.map((fault) => ({ ...fault, in: part })));
    }
  }
}

export const invalid = (fields: readonly FieldFault[]): DomainError =>
  new DomainError('validation_failed', { fields: fields.slice(0, MAX_FAULTS) });

export const unknownMember = (name: string, part?: FieldFault['in']): FieldFault => ({
  pointer: pointerTo('', name),
  ...(part !== undefined && { in: part }),
  message: 'is not known here',
});

function faultsOf(error: ValidationError, parent: string): FieldFault[] {
  const pointer = pointerTo(parent, error.property);
  const own = Object.entries(error.constraints ?? {}).map(([rule, message]) => ({
    pointer,
    message: rule === 'whitelistValidation' ? 'is not known here' : withoutName(message, error.property),
  }));
  return [...own, ...(error.children ?? []).flatMap((child) => faultsOf(child, pointer))];
}

/** class-validator begins each message with the property, which the pointer says already. */
const withoutName = (message: string, property: string): string =>
  message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;

const pointerTo = (parent: string, name: string): string =>
  `${parent}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`.slice(0, MAX_POINTER_CHARS);
