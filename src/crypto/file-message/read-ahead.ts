/**
 * Prevents an unhandled rejection if a stream is abandoned; a caller that awaits the promise still
 * gets the error.
 */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/**
 * Yields the items of a generator and requests up to `depth` of them ahead, so that reading,
 * computing and writing overlap.
 * If the consumer stops early, the source is closed but not awaited: it may hang on a client that
 * is gone.
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
