/**
 * A lone surrogate is no text and has no UTF-8: it becomes U+FFFD here, before any engine does it in its own way.
 * (In Node 20 at run time; TypeScript declares it with ES2024 only.)
 */
export const wellFormed = (text: string): string => (text as string & { toWellFormed(): string }).toWellFormed();
