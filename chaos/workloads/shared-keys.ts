/**
 * The keys that the clients of a workload share. A few are hot, so that operations really overlap. A key is
 * given up for a fresh one after a number of operations or of unknown outcomes: what a checker has to search grows
 * with both.
 */
import type { Random } from '../../src/platform/clock.ts';
import type { Outcome } from '../history.ts';

const OPERATIONS_PER_KEY = 400;
const UNKNOWN_PER_KEY = 8;
/** How much hotter the first keys are: the position is a power of a uniform number. */
const SKEW = 3;
/** Every so manieth key has a hash tag, which it shares with others of the run. */
const TAGGED_EVERY = 4;

interface Place {
  generation: number;
  operations: number;
  unknown: number;
}

export class SharedKeys {
  readonly #prefix: string;
  readonly #places: readonly Place[];
  readonly #operationsPerKey: number;

  /** `prefix` must be the run's own; what it begins with decides the policy of the keys. */
  constructor(prefix: string, count: number, operationsPerKey = OPERATIONS_PER_KEY) {
    this.#prefix = prefix;
    this.#operationsPerKey = operationsPerKey;
    this.#places = Array.from({ length: count }, () => ({
      generation: 0,
      operations: 0,
      unknown: 0,
    }));
  }

  /** A position in 0..count-1, small ones far more often. */
  pick(random: Random): number {
    return Math.floor(this.#places.length * random.float() ** SKEW);
  }

  /** The key that stands at a position now; `part` tells several keys of one position apart. */
  name(position: number, part = ''): string {
    const { generation } = this.#places[position]!;
    const tag = position % TAGGED_EVERY === TAGGED_EVERY - 1 ? '{tag}' : '';
    return `${this.#prefix}:${tag}${position}.${generation}${part}`;
  }

  /** To be told of every operation; `giveUp`: what the key held is of no more use. */
  used(position: number, outcome: Outcome, giveUp = false): void {
    const place = this.#places[position]!;
    place.operations++;
    if (outcome === 'unknown') place.unknown++;
    if (giveUp || place.operations >= this.#operationsPerKey || place.unknown >= UNKNOWN_PER_KEY) {
      place.generation++;
      place.operations = 0;
      place.unknown = 0;
    }
  }
}
