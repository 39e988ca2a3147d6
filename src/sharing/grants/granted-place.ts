import { Position } from '../../store';
import { MembershipMark } from '../groups/memberships';

/** Where a list of what was granted goes on: in which part of the user's memberships, and behind which grant of it. */
export interface GrantedPlace {
  readonly part: MembershipMark | undefined;
  readonly grants: Position | undefined;
}

/** No position of a store begins so. */
const LATER_PART = '\0part:';

/** In the first part the position of the grant alone. */
export function positionOf({ part, grants }: GrantedPlace): Position | undefined {
  if (part === undefined) return grants;
  return LATER_PART + JSON.stringify([part.position, part.id, grants ?? null]);
}

/** Positions come sealed from whoever sends them, so they are as `positionOf` made them. */
export function placeIn(position: Position | undefined): GrantedPlace {
  if (position?.startsWith(LATER_PART) !== true) return { part: undefined, grants: position };
  const [at, id, grants] = JSON.parse(position.slice(LATER_PART.length)) as [Position, string, Position | null];
  return { part: { position: at, id }, grants: grants ?? undefined };
}
