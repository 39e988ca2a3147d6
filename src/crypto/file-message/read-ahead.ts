/** A promise that an abandoned stream may leave behind without an unhandled rejection; who awaits it still sees the error. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/**
 * The items of a generator, asked for ahead of the consumer, as many as `depth` says at the time, so that reading, computing and writing overlap. When the consumer
 * stops early the source is told so and not waited for: it may hang on a client that is gone.
 */
export async function* readAhead<T>(source: AsyncGenerator<T, void>, depth: () => number): AsyncGenerator<T, void> {
  const asked: Promise<IteratorResult<T, void>>[] = [];
  try {
    for (;;) {
      while (asked.length < depth()) asked.push(quiet(source.next()));
      const next = await asked.shift();
      if (next === undefined || next.done === true) return;
      yield next.value;
    }
  } finally {
    void quiet(source.return());
  }
}
