import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { partProgram } from './installed';
import { accepts, freePort, type Managed, startProcess, waitFor } from './processes';

/**
 * A SecantusDB of its own: MongoDB's wire protocol on a loopback port, WiredTiger in a temporary
 * folder.
 */
export interface Secantus {
  /** Without a database name; give it by `dbName`. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
  /** SIGKILL; the data stays for `restart`. */
  kill(): Promise<void>;
  /** The same data on the same port again. */
  restart(): Promise<void>;
  pause(): void;
  resume(): void;
}

export async function startSecantus(): Promise<Secantus> {
  const dataDir = await mkdtemp(join(tmpdir(), 'coffer-secantus-'));
  const port = await freePort();
  let server = await launch(dataDir, port);
  return {
    url: `mongodb://127.0.0.1:${port}/?directConnection=true`,
    port,
    dataDir,
    stop: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
    kill: () => server.kill(),
    restart: async () => {
      await server.kill();
      server = await launch(dataDir, port);
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
  };
}

async function launch(dataDir: string, port: number): Promise<Managed> {
  const options = ['--host', '127.0.0.1', '--port', String(port), '--storage-path', dataDir, '--log-level', 'WARNING'];
  const server = startProcess(partProgram('secantusd-py'), [...options, '--cache-size', '256M'], { cwd: dataDir });
  await waitFor('SecantusDB to listen', async () => {
    if (!server.running()) throw new Error(`SecantusDB ended: ${server.output()}`);
    return accepts(port);
  });
  return server;
}
