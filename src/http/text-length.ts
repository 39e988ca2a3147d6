import { ValidateBy, buildMessage } from 'class-validator';

/**
 * Replaces the decorator of class-validator, which runs regular expressions over a text of any
 * length before it compares, and does not count variation selectors. A character is a code point.
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

/** Replaces the decorator of class-validator, as `MaxLength` does. */
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

/** Reads no further than necessary: a code point has at most two UTF-16 units. */
const hasAtMost = (text: string, max: number): boolean =>
  text.length <= max || (text.length <= 2 * max && Array.from(text).length <= max);
