// eslint-disable-next-line no-restricted-imports -- the two rules that all optional fields share are made here
import { IsOptional, ValidateIf } from 'class-validator';

/**
 * An optional field that rejects `null`. class-validator's `IsOptional` skips all rules for `null`,
 * and a handler would then get a value that its type excludes.
 */
export const MayBeAbsent = (): PropertyDecorator => ValidateIf((_body, value) => value !== undefined);

/** An optional field in which `null` clears the stored value. Its type must include `| null`. */
export const MayBeNull = (): PropertyDecorator => IsOptional();
