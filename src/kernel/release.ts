import { MessageChannel, MessagePort } from 'node:worker_threads';

let closed: MessagePort | undefined;

function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.close();
  port2.close();
  return port1;
}

/**
 * Gives a buffer's memory back at once: what is transferred to a closed port is dropped.
 * `cipher.update` makes a new buffer for each frame, and the HTTP parser one for each chunk;
 * without this tens of MiB of them wait for the garbage collector, each a piece of cold memory that
 * the next one could have had warm. Small ones are left to the collector, and so is what shares its
 * memory with others.
 */
export function release(buffer: Uint8Array): void {
  const { buffer: memory, byteLength } = buffer;
  if (!(memory instanceof ArrayBuffer) || memory.byteLength !== byteLength || byteLength < 16 * 1024) return;
  closed ??= closedPort();
  closed.postMessage(memory, [memory]);
}
