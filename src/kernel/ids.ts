import { v7 } from 'uuid';

/**
 * A new opaque id: UUID version 7 (RFC 9562), so that ids of one process sort by the time they were
 * made and lists are "oldest first" without a second key. An id is a name and never a secret: 74
 * random bits are too few for one (ASVS 11.5.1).
 */
export const newId = (): string => v7();
