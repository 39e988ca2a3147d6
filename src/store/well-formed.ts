/**
 * Replaces lone surrogates, which have no UTF-8 form, with U+FFFD, so that all engines store the
 * same text.
 * Node 20 has the method; TypeScript declares it only from ES2024 on.
 */
export const wellFormed = (text: string): string => (text as string & { toWellFormed(): string }).toWellFormed();
