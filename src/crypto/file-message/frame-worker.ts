import { parentPort } from 'node:worker_threads';
import { FrameCipher, Sealed, Unsealed } from './frame-cipher';
import { FrameReply, FrameRequest } from './frame-protocol';

// Entry of a worker thread. A key arrives with `open`, stays in this map and is wiped at `close`;
// nothing here logs.
const ciphers = new Map<number, FrameCipher>();

function handle(request: FrameRequest): void {
  switch (request.kind) {
    case 'open':
      open(request);
      return;
    case 'close':
      ciphers.get(request.stream)?.wipe();
      ciphers.delete(request.stream);
      return;
    case 'seal':
    case 'unseal': {
      const reply: FrameReply = { stream: request.stream, slab: request.slab, done: work(request) };
      parentPort?.postMessage(reply, [request.slab]);
    }
  }
}

function open(request: Extract<FrameRequest, { kind: 'open' }>): void {
  const key = Buffer.from(request.key);
  const messageId = Buffer.from(request.messageId);
  ciphers.set(request.stream, new FrameCipher({ key, messageId, frameBytes: request.frameBytes }));
}

function work(request: Extract<FrameRequest, { kind: 'seal' | 'unseal' }>): Sealed | Unsealed | { failed: true } {
  const cipher = ciphers.get(request.stream);
  if (cipher === undefined) return { failed: true };
  const slab = Buffer.from(request.slab);
  try {
    return request.kind === 'seal'
      ? cipher.seal(slab, request.length, request.final)
      : cipher.unseal(slab, request.first, request.frames, request.lastBytes);
  } catch {
    return { failed: true };
  }
}

parentPort?.on('message', handle);
