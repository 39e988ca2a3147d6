import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A real process that a test started. Its output is kept, and it dies with the test process
 * whatever ends that one.
 */
export interface Managed {
  readonly pid: number;
  /** What it wrote so far, stdout and stderr in order of arrival. */
  output(): string;
  /** Resolves with the exit code (null after a signal) once it has ended. */
  readonly exited: Promise<number | null>;
  running(): boolean;
  /** SIGTERM (or another signal), and SIGKILL if it has not ended within `graceMs`. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<number | null>;
  /** SIGKILL at once. */
  kill(): Promise<void>;
  /** SIGSTOP: it holds its connections and answers nothing. */
  pause(): void;
  resume(): void;
  /**
   * Sends a message over the channel; resolves with the answer to it, and rejects where the process
   * ends before.
   */
  ask(message: string): Promise<unknown>;
}

export interface SpawnOptions {
  /** The whole environment of the process: nothing of the tests' own environment is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** With a channel for `ask`. */
  readonly channel?: boolean;
}

/** What no process can start without, and nothing that could configure the one under test. */
export function bareEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'SystemRoot', 'LD_LIBRARY_PATH'];
  return Object.fromEntries(kept.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

export function startProcess(command: string, args: readonly string[], options: SpawnOptions = {}): Managed {
  const child = spawn(command, args, {
    env: { ...bareEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', ...(options.channel === true ? (['ipc'] as const) : [])],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let output = '';
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      output += `\n${command} could not be started: ${error.message}\n`;
      resolve(null);
    });
    child.once('close', (code) => resolve(code));
  });
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => (output += text));
  }
  const leash = tieToThisProcess(child);
  void exited.then(() => leash?.kill());
  return managed(child, exited, () => output);
}

function managed(child: ChildProcess, exited: Promise<number | null>, output: () => string): Managed {
  const running = (): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const kill = async (): Promise<void> => {
    if (running()) child.kill('SIGKILL');
    await exited;
  };
  return {
    pid: child.pid ?? -1,
    output,
    exited,
    running,
    stop: async (signal = 'SIGTERM', graceMs = 10_000) => {
      if (running()) child.kill(signal);
      // A process that a test paused takes no signal but SIGKILL before it goes on.
      if (running()) child.kill('SIGCONT');
      const inTime = await Promise.race([exited.then(() => true), sleep(graceMs, false, { ref: false })]);
      if (!inTime) await kill();
      return exited;
    },
    kill,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    ask: (message) => ask(child, message),
  };
}

function ask(child: ChildProcess, message: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('the process ended and did not answer'));
    child.once('close', ended);
    child.once('message', (answer) => {
      child.off('close', ended);
      resolve(answer);
    });
    child.send(message, (error) => error !== null && reject(error));
  });
}

/**
 * A shell that waits for the end of a pipe held by this process, then kills the child. It works
 * after SIGKILL of the test runner as well, which an exit handler does not.
 */
function tieToThisProcess(child: ChildProcess): ChildProcess | undefined {
  if (child.pid === undefined) return undefined;
  const leash = spawn('/bin/sh', ['-c', `read -r _; kill -9 ${child.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: bareEnvironment(),
    detached: true,
  });
  leash.unref();
  leash.on('error', () => undefined);
  leash.stdin.on('error', () => undefined);
  (leash.stdin as unknown as { unref(): void }).unref();
  return leash;
}

/** Whether a process sleeps since a SIGSTOP. Linux only. */
export function isStopped(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return /^ [Tt]/.test(stat.slice(stat.lastIndexOf(')') + 1));
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}

/**
 * Polls until `check` gives something other than undefined or false. Rejects with `what` after
 * `timeoutMs`.
 */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`gave up after ${timeoutMs} ms waiting for ${what}`);
    await sleep(25);
  }
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (open: boolean) => () => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', end(true));
    socket.once('error', end(false));
    socket.setTimeout(1000, end(false));
  });
}
