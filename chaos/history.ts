/**
 * What the clients of a run did and were told. Each entry is one command; checkers read nothing else
 * about the clients, so a history can be kept in a file and checked again.
 */

/** `failed`: the reply said that nothing was changed. `unknown`: it may have been, then or later. */
export type Outcome = 'acknowledged' | 'failed' | 'unknown';

export interface Operation {
  readonly client: string;
  /** Which node it was sent to. */
  readonly node: string;
  readonly kind: 'set' | 'incr';
  readonly key: string;
  /** What a `set` wrote. */
  readonly value: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: Outcome;
  /** The reply, or the error. */
  readonly reply: string;
}

export class History {
  readonly operations: Operation[] = [];

  add(operation: Operation): void {
    this.operations.push(operation);
  }

  /** Operations by key, each in the order in which they ended. */
  byKey(kind: Operation['kind']): Map<string, Operation[]> {
    const keys = new Map<string, Operation[]>();
    for (const operation of this.operations) {
      if (operation.kind !== kind) continue;
      const list = keys.get(operation.key);
      if (list === undefined) keys.set(operation.key, [operation]);
      else list.push(operation);
    }
    return keys;
  }

  count(outcome: Outcome): number {
    return this.operations.filter((operation) => operation.outcome === outcome).length;
  }

  /** The longest time between two acknowledged operations of all clients together. */
  longestPauseMs(): number {
    const ends = this.operations
      .filter(({ outcome }) => outcome === 'acknowledged')
      .map(({ endedAtMs }) => endedAtMs)
      .sort((a, b) => a - b);
    let longest = 0;
    for (let i = 1; i < ends.length; i++) longest = Math.max(longest, ends[i]! - ends[i - 1]!);
    return longest;
  }
}
