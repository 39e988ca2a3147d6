/**
 * What /metrics says: for each metric its kind, and its samples by label text as Prometheus writes
 * it.
 */
export interface Figures {
  readonly kinds: ReadonlyMap<string, string>;
  readonly samples: ReadonlyMap<string, number>;
  /** Label names by series, as `coffer_mails_total` or `..._bucket`. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
}

export function readFigures(text: string): Figures {
  const kinds = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', kind = '']) => [name, kind]));
  const samples = new Map<string, number>();
  const labels = new Map<string, Set<string>>();
  for (const [, name = '', block = '', value = ''] of text.matchAll(/^([a-z_]+)(\{[^}]*\})? (\S+)$/gim)) {
    samples.set(`${name}${block}`, value === '+Inf' ? Infinity : Number(value));
    const known = labels.get(name) ?? new Set();
    for (const [, label = ''] of block.matchAll(/([a-z_]+)="/g)) known.add(label);
    labels.set(name, known);
  }
  return { kinds, samples, labels };
}
