/** What the generator's process is asked, and what it answers. */
import type { Measured } from '../load.ts';

/** Where to send, and which keys: those of the slots given, or all. */
export interface Target {
  readonly port: number;
  /** First and last slot of each range. */
  readonly slots?: readonly (readonly [number, number])[];
}

export interface GeneratorRequest {
  /** Connections are dealt out to them in turn. */
  readonly targets: readonly Target[];
  readonly connections: number;
  readonly pipeline: number;
  readonly command: 'get' | 'set' | 'incr';
  readonly prefix: string;
  readonly keySpace: number;
  readonly hotKey?: string;
  /** `sequence`: every key of each target once, and `operations` is not looked at. */
  readonly order: 'random' | 'sequence';
  readonly operations: number;
  readonly waitFor?: number;
  readonly ratePerSecond?: number;
}

export interface GeneratorAnswer extends Required<Measured> {
  /** Keys that a GET did not find. */
  readonly nulls: number;
}
