/** Did an operation become dearer? Pure: pairs of rounds in, a sentence out. */
import { median } from './statistics.ts';

/** Processor time an operation in rounds that followed each other, microseconds. */
export interface Pairs {
  readonly title: string;
  readonly beforeUs: readonly number[];
  readonly nowUs: readonly number[];
}

/** The median must have grown by more than this, */
const MEDIAN_MAX = 1.2;
/** and every single pair by more than this: what one disturbed round does is noise. */
const PAIR_MAX = 1.05;

export interface RegressionVerdict {
  readonly ratio: number;
  readonly dearer: boolean;
  readonly line: string;
}

export function judgePairs({ title, beforeUs, nowUs }: Pairs): RegressionVerdict {
  const ratios = nowUs.map((us, i) => us / (beforeUs[i] ?? Number.NaN));
  const ratio = median(nowUs) / median(beforeUs);
  const dearer = ratio > MEDIAN_MAX && ratios.every((pair) => pair > PAIR_MAX);
  const figures = `${median(beforeUs).toFixed(1)} → ${median(nowUs).toFixed(1)} µs/op`;
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  const line = `${title}: ${figures}, ${ratio.toFixed(2)} times (rounds ${range})`;
  return { ratio, dearer, line: dearer ? `WARNING: dearer than before: ${line}` : line };
}
