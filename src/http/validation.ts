import { ArgumentMetadata, Injectable, ValidationError, ValidationPipe } from '@nestjs/common';
import { DomainError, FieldFault, isDomainError } from '../kernel';
import { dtoInstances } from './dto-instances';

/** Maximum number of faults reported for one request. */
export const MAX_FAULTS = 20;
const MAX_POINTER_CHARS = 200;
const UNKNOWN = 'is not known here';
const PARTS: Readonly<Record<string, FieldFault['in']>> = { query: 'query', param: 'path' };

/**
 * Rejects unknown members and converts nothing silently. A fault names the field by JSON Pointer
 * and never its value.
 */
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
    const part = PARTS[metadata.type];
    const inherited = [...inheritedNames(value, '')].map((pointer) => unknownAt(pointer, part));
    if (inherited.length > 0) throw invalid(inherited);
    try {
      return (await super.transform(value, metadata)) as unknown;
    } catch (error) {
      if (!isDomainError(error, 'validation_failed')) throw error;
      throw part === undefined ? error : invalid(error.fields.map((fault) => ({ ...fault, in: part })));
    }
  }
}

export const invalid = (fields: readonly FieldFault[]): DomainError =>
  new DomainError('validation_failed', { fields: fields.slice(0, MAX_FAULTS) });

export const unknownMember = (name: string, part?: FieldFault['in']): FieldFault =>
  unknownAt(pointerTo('', name), part);

const unknownAt = (pointer: string, part: FieldFault['in']): FieldFault => ({
  pointer,
  ...(part !== undefined && { in: part }),
  message: UNKNOWN,
});

/**
 * Pointers to members with names of Object.prototype, such as `constructor`. No DTO has such a
 * field, but class-validator finds the inherited member when it looks up the rules, and Nest drops
 * `__proto__` and `prototype` silently.
 */
function* inheritedNames(value: unknown, parent: string): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    const pointer = pointerTo(parent, name);
    if (name in Object.prototype || name === 'prototype') yield pointer;
    else yield* inheritedNames(member, pointer);
  }
}

/** Collects only the faults that are reported, because a body may have thousands. */
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
      yield { pointer, message: rule === 'whitelistValidation' ? UNKNOWN : withoutName(message, property) };
    }
    yield* faultsOf(children ?? [], pointer);
  }
}

/** class-validator starts each message with the property, which the pointer already names. */
const withoutName = (message: string, property: string): string =>
  message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;

const pointerTo = (parent: string, name: string): string =>
  `${parent}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`.slice(0, MAX_POINTER_CHARS);
