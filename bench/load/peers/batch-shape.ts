/** What a batch of upserts may look like, and what is tried. Pure. */

export interface BatchShape {
  readonly way: 'unnest' | 'copy';
  readonly rows: number;
  /** Connections, each with one batch under way. */
  readonly lanes: number;
}

/** A later candidate must be this much better: below that it is noise, and the simpler one stays. */
const GAIN = 1.03;

/** Small ones first. COPY pays for its temporary table with every batch, so only in large ones. */
export const CANDIDATES: readonly BatchShape[] = [
  ...[1, 2, 3].flatMap((lanes) =>
    [32, 128, 512, 2048].map((rows) => ({ way: 'unnest', rows, lanes }) as const),
  ),
  ...[1, 2].flatMap((lanes) => [512, 2048].map((rows) => ({ way: 'copy', rows, lanes }) as const)),
];

export function improves(rate: number, best: number): boolean {
  return rate > best * GAIN;
}

export function describeShape({ way, rows, lanes }: BatchShape): string {
  return `${way}, ${rows} rows, ${lanes} ${lanes === 1 ? 'connection' : 'connections'}`;
}
