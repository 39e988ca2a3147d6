import { mongo } from 'mongoose';
import { outageReason } from '../../kernel';

const AUTHENTICATION_FAILED = 18;
const UNAUTHORIZED = 13;

/**
 * The reason why MongoDB is unavailable, for the log. Excludes the driver's text, which may repeat
 * parts of the URL.
 */
export function mongoReason(error: unknown): string {
  return `MongoDB (MONGODB_URL): ${why(error)}`;
}

function why(error: unknown): string {
  for (const each of [error, ...serverErrors(error)]) {
    const code = (each as { readonly code?: unknown } | undefined)?.code;
    if (code === AUTHENTICATION_FAILED) return 'the user name or the password is wrong';
    if (code === UNAUTHORIZED) return 'the user lacks a right';
    const reason = outageReason(each);
    if (reason !== undefined) return reason;
  }
  if (isSelectionFault(error)) return 'no primary answers';
  return error instanceof Error && /^Mongo\w+$/.test(error.name) ? error.name : 'no answer';
}

const isSelectionFault = (error: unknown): error is mongo.MongoServerSelectionError =>
  error instanceof mongo.MongoServerSelectionError;

/** The driver's errors of each member during its search for a primary. */
function serverErrors(error: unknown): unknown[] {
  const topology = (
    error as { readonly reason?: { readonly servers?: ReadonlyMap<string, { error?: unknown }> } } | undefined
  )?.reason;
  return [...(topology?.servers?.values() ?? [])]
    .map((server) => server.error)
    .filter((each) => each !== null && each !== undefined);
}
