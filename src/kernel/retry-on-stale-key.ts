import { setTimeout as sleep } from 'node:timers/promises';
import { StaleKeyVersionError } from './errors';

const RETRIES = 3;
const PAUSE_MS = 5;

/**
 * For a read that opens what it has read. A row from before the end of a rotation of its owner's
 * key does not open afterwards, and reading it again finds the re-encrypted one. What fails each
 * time is damaged. @throws what `read` throws, StaleKeyVersionError after the last try.
 */
export async function retryOnStaleKey<T>(read: () => Promise<T>): Promise<T> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof StaleKeyVersionError) || retries === RETRIES) throw error;
      await sleep(PAUSE_MS);
    }
  }
}
