import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { skippedName } from './parts';

const EXECUTABLE = process.env['COFFER_CHROMIUM'] ?? '/usr/bin/chromium';
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];

/** A real browser without a window. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: EXECUTABLE, headless: true, args: ARGS });

/**
 * A suite in a browser: skipped aloud where there is none, since npm and Python alone do not bring
 * one.
 */
export function describeInBrowser(name: string, suite: () => void): void {
  if (existsSync(EXECUTABLE)) describe(name, suite);
  else describe.skip(skippedName(name, 'no chromium; COFFER_CHROMIUM names one'), suite);
}
