import { ValidateBy, buildMessage } from 'class-validator';

/**
 * In place of those of class-validator, which look through a text of any length with regular expressions before they compare, and
 * do not count variation selectors at all. A character is a code point.
 */
export const MaxLength = (max: number): PropertyDecorator =>
  ValidateBy({
    name: 'maxLength',
    constraints: [max],
    validator: {
      validate: (value) => typeof value === 'string' && hasAtMost(value, max),
      defaultMessage: buildMessage(
        (each) => `${each}$property must be shorter than or equal to $constraint1 characters`,
      ),
    },
  });

/** See `MaxLength`. */
export const MinLength = (min: number): PropertyDecorator =>
  ValidateBy({
    name: 'minLength',
    constraints: [min],
    validator: {
      validate: (value) => typeof value === 'string' && !hasAtMost(value, min - 1),
      defaultMessage: buildMessage(
        (each) => `${each}$property must be longer than or equal to $constraint1 characters`,
      ),
    },
  });

/** Reads no further than it has to: a code point has two units at most. */
const hasAtMost = (text: string, max: number): boolean =>
  text.length <= max || (text.length <= 2 * max && Array.from(text).length <= max);
