import { ApiHeader } from '@nestjs/swagger';

const DESCRIPTION =
  'The ETag that was read: the act then only happens if nobody changed it since. `*` means any state.';

/** Documents If-Match, as a required or optional header. */
export const IfMatchHeader = ({ required = false } = {}): MethodDecorator =>
  ApiHeader({
    name: 'If-Match',
    required,
    description: DESCRIPTION,
    schema: { type: 'string', ...(required && { example: '*' }) },
  });
