import { ArgumentMetadata, Injectable, ValidationError, ValidationPipe } from '@nestjs/common';
import { DomainError, FieldFault, isDomainError } from '../kernel';
import { dtoInstances } from './dto-instances';

/** How many faults of one request are told. */
export const MAX_FAULTS = 20;
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
      transformerPackage: dtoInstances,
      exceptionFactory: (errors) => invalid(firstFaults(errors)),
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

/** As many as are told. The others are not looked at: a body may hold thousands. */
function firstFaults(errors: readonly ValidationError[]): FieldFault[] {
  const faults: FieldFault[] = [];
  for (const fault of faultsOf(errors, '')) {
    faults.push(fault);
    if (faults.length === MAX_FAULTS) break;
  }
  return faults;
}

function* faultsOf(errors: readonly ValidationError[], parent: string): Generator<FieldFault> {
  for (const { property, constraints, children } of errors) {
    const pointer = pointerTo(parent, property);
    for (const [rule, message] of Object.entries(constraints ?? {})) {
      yield { pointer, message: rule === 'whitelistValidation' ? 'is not known here' : withoutName(message, property) };
    }
    yield* faultsOf(children ?? [], pointer);
  }
}

/** class-validator begins each message with the property, which the pointer says already. */
const withoutName = (message: string, property: string): string =>
  message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;

const pointerTo = (parent: string, name: string): string =>
  `${parent}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`.slice(0, MAX_POINTER_CHARS);
