import '../app.module';
import { Type } from '@nestjs/common';
import { ValidationTypes, getMetadataStorage } from 'class-validator';
import { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata';
import { DomainError } from '../kernel';
import { InputPipe } from './validation';

/** Every optional field of every DTO of the service, from the metadata of its decorators. */
function optionalFields(): readonly { readonly dto: Type; readonly field: string }[] {
  const storage = getMetadataStorage() as unknown as {
    readonly validationMetadatas: ReadonlyMap<Type, readonly ValidationMetadata[]>;
  };
  return [...storage.validationMetadatas].flatMap(([dto, rules]) =>
    rules
      .filter(({ type }) => type === ValidationTypes.CONDITIONAL_VALIDATION)
      .map(({ propertyName }) => ({ dto, field: propertyName })),
  );
}

async function pointersFor(dto: Type, body: object): Promise<readonly string[]> {
  try {
    await new InputPipe().transform(body, { type: 'body', metatype: dto });
    return [];
  } catch (error) {
    if (error instanceof DomainError) return error.fields.map(({ pointer }) => pointer);
    throw error;
  }
}

describe('an optional field', () => {
  const fields = optionalFields();
  const clears = ({ dto, field }: (typeof fields)[number]): boolean =>
    dto.name === 'ChangeFileDto' && field === 'expires_in';

  it('is found in all parts of the service', () => {
    const names = new Set(fields.map(({ dto }) => dto.name));
    expect([...names]).toEqual(expect.arrayContaining(['RegisterDto', 'StepUpDto', 'NewGrantDto', 'PageQueryDto']));
  });

  it.each(fields.filter((field) => !clears(field)))('$dto.name.$field refuses null', async ({ dto, field }) => {
    expect(await pointersFor(dto, { [field]: null })).toContain(`/${field}`);
  });

  it.each(fields)('$dto.name.$field may be absent', async ({ dto, field }) => {
    expect(await pointersFor(dto, {})).not.toContain(`/${field}`);
  });

  it('takes null where that clears a value', async () => {
    const cleared = fields.filter(clears);
    expect(cleared).toHaveLength(1);
    for (const { dto, field } of cleared) expect(await pointersFor(dto, { [field]: null })).toEqual([]);
  });
});
