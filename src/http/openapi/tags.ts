import { OpenAPIObject } from '@nestjs/swagger';

/** In the order in which a new user needs them; `@ApiTags` of a controller names one of these. */
const TAGS: Readonly<Record<string, string>> = {
  Login: 'From a password to tokens, with or without a second factor, and the fresh proof that ⚡ asks for.',
  Registration: 'New accounts.',
  Sessions: 'Refreshing tokens, and ending sessions.',
  'Two-factor login': 'Authenticator apps, codes by e-mail and recovery codes.',
  Account: 'The account itself, and its end.',
  'Sensitive data': 'Small values, sealed one by one.',
  Files: 'Files with their versions, grants and checks.',
  'Resumable uploads': 'Large files over unsteady connections: the tus protocol, version 1.0.0.',
  Links: 'Downloads and drop boxes for people without an account.',
  Groups: 'Accounts that files are granted to together.',
  Keys: 'The master key, user keys, and their rotation.',
  'Service accounts': 'Backends that use Coffer with keys of their own.',
  Subjects: 'The end users of a backend, each with a key of its own.',
  Approvals: 'Acts that take two administrators.',
  Invitations: 'Letting people register.',
  Operation: 'Probes and figures.',
};

/**
 * Declares the tags and sorts the paths by them.
 * @throws TypeError for an undeclared tag
 */
export function orderByTags(document: OpenAPIObject): void {
  const names = Object.keys(TAGS);
  const rank = (item: OpenAPIObject['paths'][string]): number => {
    const tags = Object.values(item as Readonly<Record<string, { readonly tags?: string[] }>>).map(({ tags }) => tags);
    const ranks = tags.map((own) => names.indexOf(own?.[0] ?? ''));
    if (ranks.includes(-1)) throw new TypeError(`a tag is not declared: ${JSON.stringify(tags)}`);
    return Math.min(...ranks);
  };
  const paths = Object.entries(document.paths).map(([path, item]) => ({ path, item, rank: rank(item) }));
  document.paths = Object.fromEntries(paths.sort((a, b) => a.rank - b.rank).map(({ path, item }) => [path, item]));
  document.tags = Object.entries(TAGS).map(([name, description]) => ({ name, description }));
}
