// eslint-disable-next-line no-restricted-imports -- the two rules that all optional fields share are made here
import { IsOptional, ValidateIf } from 'class-validator';

/**
 * A field that may be left out. `null` is a value like others, which the rules beside this one refuse: class-validator's own
 * `IsOptional` skips all rules for it, and a handler then works with a value that its type rules out.
 */
export const MayBeAbsent = (): PropertyDecorator => ValidateIf((_body, value) => value !== undefined);

/** A field that may be left out, and in which `null` clears what is there. Its type has to say `| null`. */
export const MayBeNull = (): PropertyDecorator => IsOptional();
