import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiHeader, ApiResponse } from '@nestjs/swagger';
import { TUS_VERSION, tusRefusal } from '../../http';
import { OFFSET_MEDIA_TYPE } from './tus-headers';

/** Documents that a route wants the version of the protocol, and with what it may refuse besides what all of tus may. */
export const TusRequest = (...statuses: readonly number[]): MethodDecorator =>
  applyDecorators(
    ApiHeader({
      name: 'Tus-Resumable',
      required: true,
      description: 'The version of the protocol that the client speaks',
      schema: { type: 'string', enum: [TUS_VERSION], example: TUS_VERSION },
    }),
    ...statuses.map((status) => ApiResponse({ status, ...tusRefusal() })),
  );

/** Documents a body that is a piece of the content. */
export const TusPiece = ({ required }: { readonly required: boolean }): MethodDecorator =>
  applyDecorators(
    ApiConsumes(OFFSET_MEDIA_TYPE),
    ApiBody({ required, schema: { type: 'string', format: 'binary' } }),
    ApiHeader({
      name: 'Upload-Checksum',
      required: false,
      description: 'An algorithm of Tus-Checksum-Algorithm, and the digest of the body in base64',
    }),
  );

/** Documents a header that carries a number of bytes. */
export const TusCount = (name: string, description: string, example: number): MethodDecorator =>
  ApiHeader({ name, required: true, description, schema: { type: 'integer', format: 'int64', minimum: 0, example } });
