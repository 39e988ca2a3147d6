import { Type } from '@nestjs/common';
import { TransformationType } from 'class-transformer';
import { MetadataStorage } from 'class-transformer/types/MetadataStorage';

/** Metadata of class-transformer's decorators. The package has no public way to read it. */
// eslint-disable-next-line @typescript-eslint/no-require-imports
const { defaultMetadataStorage: decorated } = require('class-transformer/cjs/storage') as {
  readonly defaultMetadataStorage: MetadataStorage;
};

type Dto = Readonly<Record<string, unknown>>;

/**
 * Creates the DTO instances for class-validator, as class-transformer does, but in linear time:
 * class-transformer is quadratic in the members of an object. Validates nested objects only where
 * `@Type` declares them.
 */
export const dtoInstances = {
  plainToInstance<T>(dto: Type<T>, plain: unknown): T | T[] {
    return instanceOf(dto, plain) as T;
  },
  /** The pipe passes the instances to handlers, so this is never called. */
  classToPlain(): never {
    throw new TypeError('instances of DTOs are not turned back');
  },
};

function instanceOf(dto: Type, plain: unknown): unknown {
  if (Array.isArray(plain)) return plain.map((element) => instanceOf(dto, element));
  if (typeof plain !== 'object' || plain === null) return plain;
  const made = new dto() as Record<string, unknown>;
  for (const [name, sent] of Object.entries(plain)) {
    const value = transformed(dto, name, typed(dto, name, sent), plain as Dto);
    if (value !== undefined) made[name] = value;
  }
  return made;
}

function typed(dto: Type, name: string, sent: unknown): unknown {
  const type = decorated.findTypeMetadata(dto, name) as { typeFunction?: () => unknown } | undefined;
  const inner = type?.typeFunction?.();
  return inner === undefined ? sent : instanceOf(inner as Type, sent);
}

function transformed(dto: Type, key: string, sent: unknown, obj: Dto): unknown {
  const type = TransformationType.PLAIN_TO_CLASS;
  const transforms = decorated.findTransformMetadatas(dto, key, type);
  return transforms.reduce<unknown>(
    (value, { transformFn }) => transformFn({ value, key, obj, type, options: {} }) as unknown,
    sent,
  );
}
