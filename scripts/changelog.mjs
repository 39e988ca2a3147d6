#!/usr/bin/env node
// The changelog from fragments, so that two branches that each add a line do not conflict. A fragment is a file
// changelog/NAME.SECTION.md with the text of one entry; SECTION is one of those below.
//   node scripts/changelog.mjs                   shows what the next release would say
//   node scripts/changelog.mjs check             exit code 1 where a fragment has a wrong name or text, each named
//   node scripts/changelog.mjs release VERSION   moves "Unreleased" and all fragments into a section VERSION (--date YYYY-MM-DD)
//   node scripts/changelog.mjs notes VERSION     prints the text of that section
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { answerHelp } from './lib/help.mjs';

answerHelp(import.meta.url);

const SECTIONS = ['security', 'added', 'changed', 'deprecated', 'removed', 'fixed'];
const FRAGMENT = /^[a-z0-9][a-z0-9-]*\.([a-z]+)\.md$/;
const VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;
const NOT_FRAGMENTS = ['README.md'];

class Refused extends Error {}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { date: { type: 'string' }, root: { type: 'string' } },
});
const root = options.root ?? join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, 'changelog');
const file = join(root, 'CHANGELOG.md');
const titled = (section) => `${section[0].toUpperCase()}${section.slice(1)}`;
const read = (path) => readFileSync(path, 'utf8').replaceAll('\r\n', '\n');

function fragments() {
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  return names
    .filter((name) => !NOT_FRAGMENTS.includes(name))
    .map((name) => ({ name, section: FRAGMENT.exec(name)?.[1], text: read(join(folder, name)).trim() }));
}

/** What is wrong with a fragment, or undefined. */
function faultOf({ name, section, text }) {
  if (section === undefined) return `${name}: the name is not NAME.SECTION.md in lowercase letters, digits and "-"`;
  if (!SECTIONS.includes(section)) return `${name}: "${section}" is none of ${SECTIONS.join(', ')}`;
  if (text === '') return `${name}: it is empty`;
  if (/^(#|[-*] )/m.test(text)) return `${name}: it is the text of one entry, without heading or list mark`;
  return undefined;
}

function checked() {
  const all = fragments();
  const faults = all.map(faultOf).filter((fault) => fault !== undefined);
  if (faults.length > 0) throw new Refused(faults.map((fault) => `changelog/${fault}`).join('\n'));
  return all;
}

/** Everything below `## title` up to the next heading of that rank: where it begins and ends, and its text. */
function sectionOf(changelog, title) {
  const heading = new RegExp(`^## ${title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?: - .*)?$`, 'm').exec(changelog);
  if (heading === null) throw new Refused(`CHANGELOG.md has no section "${title}"`);
  const start = heading.index + heading[0].length;
  const next = changelog.indexOf('\n## ', start);
  const end = next === -1 ? changelog.length : next;
  return { at: heading.index, start, end, text: changelog.slice(start, end).trim() };
}

/** The entries below each `### Section`, as they stand. */
function entriesOf(text) {
  const parts = text.split(/^### (.+)$/m);
  if (parts[0].trim() !== '') throw new Refused('"Unreleased" has text that stands below no "### Section"');
  const entries = new Map();
  for (let at = 1; at < parts.length; at += 2) {
    const section = parts[at].trim().toLowerCase();
    if (!SECTIONS.includes(section)) throw new Refused(`"Unreleased" has a section "${parts[at].trim()}"`);
    entries.set(section, [...(entries.get(section) ?? []), parts[at + 1].trim()].filter(Boolean));
  }
  return entries;
}

/** What stands under "Unreleased" and in the fragments, together. */
function pending(changelog, all) {
  const entries = entriesOf(sectionOf(changelog, 'Unreleased').text);
  for (const { section, text } of all) {
    entries.set(section, [...(entries.get(section) ?? []), `- ${text.replaceAll('\n', '\n  ')}`]);
  }
  return SECTIONS.filter((section) => (entries.get(section) ?? []).length > 0)
    .map((section) => `### ${titled(section)}\n\n${entries.get(section).join('\n')}`)
    .join('\n\n');
}

function release(version, date) {
  if (!VERSION.test(version ?? '')) throw new Refused('name the version, as 1.2.3');
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) throw new Refused('the date is YYYY-MM-DD');
  const changelog = read(file);
  if (new RegExp(`^## ${version.replaceAll('.', '\\.')}( |$)`, 'm').test(changelog)) {
    throw new Refused(`CHANGELOG.md has a section "${version}" already`);
  }
  const all = checked();
  const text = pending(changelog, all);
  if (text === '') throw new Refused('there is nothing to release');
  const { at, end } = sectionOf(changelog, 'Unreleased');
  const rest = changelog.slice(end).trimStart();
  const whole = `${changelog.slice(0, at)}## Unreleased\n\n## ${version} - ${date}\n\n${text}\n${rest === '' ? '' : `\n${rest}`}`;
  // The changelog first: a fragment that is left by a crash is seen, one that is lost is not.
  writeFileSync(file, whole);
  for (const { name } of all) rmSync(join(folder, name));
}

function run([command = 'show', version, ...rest]) {
  if (rest.length > 0) throw new Refused('too many arguments');
  if (command === 'check') return void checked();
  if (command === 'show') return console.log(pending(read(file), checked()));
  if (command === 'notes') return console.log(sectionOf(read(file), version ?? '').text);
  if (command === 'release') return release(version, options.date ?? new Date().toISOString().slice(0, 10));
  throw new Refused(`there is no command "${command}": show, check, release VERSION, notes VERSION`);
}

try {
  run(positionals);
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
