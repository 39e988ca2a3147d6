import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { WrongPin } from '../store';
import { withService } from '../with-service';

/** Where keys are to be: what the variable has to say then, and what is answered where they are there already. */
export interface Destination {
  readonly variable: string;
  readonly value: string;
  readonly there: string;
}

/** Runs a move in the service's own process; an environment that still names the former place of a move that has ended is no fault. */
export async function unlessThere(
  { variable, value, there }: Destination,
  move: (app: NestFastifyApplication) => Promise<string>,
): Promise<string> {
  try {
    return await withService(move);
  } catch (error) {
    if (error instanceof WrongPin && error.variable === variable && error.pinned === value) return there;
    throw error;
  }
}
