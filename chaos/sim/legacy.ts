/**
 * A modelled legacy API: values by key, answered after a delay. Each process of a node has a source of its own,
 * which asks once for a key however many of the process wait; every call is remembered.
 */
import type { LegacyAnswer, LegacySource } from '../../src/storage/legacy/source.ts';
import { keysOf } from '../checkers/linearizability/keyspace-model.ts';
import type { KeyEvent, Operation } from '../history.ts';
import type { Host } from './machine.ts';
import type { VirtualTime } from './time.ts';

/** Keys with this prefix have a legacy source. */
export const LEGACY_PREFIX = 'legacy:';
/** A source waits so long for an answer, as in production, milliseconds. */
const TIMEOUT_MS = 2_000;

export interface LegacyCall {
  readonly key: string;
  readonly node: string;
  /** The epoch in which the node asked. */
  readonly epoch: number;
  readonly startedAtMs: number;
  /** When the node had its answer; if it never had: when it was sent. */
  endedAtMs: number;
}

/** What is wrong with an answer. */
export interface LegacyTrouble {
  readonly delayMs?: number;
  /** Instead of the value: an error, or something that nobody can read. */
  readonly failure?: string;
}

export class SimLegacy {
  readonly values = new Map<string, string>();
  /** The value of a key that `values` lacks. */
  valueOf: (key: string) => string | undefined = () => undefined;
  readonly #time: VirtualTime;
  readonly calls: LegacyCall[] = [];
  /** Answers take this long, milliseconds. */
  delayMs = 5;
  trouble: () => LegacyTrouble = () => ({});

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** How often it was asked. */
  get fetches(): number {
    return this.calls.length;
  }

  /** What the legacy API has of a key, whether it answers or not. */
  has(key: string): string | undefined {
    return this.values.get(key) ?? this.valueOf(key);
  }

  /** For a process on that machine; `epoch` says in which epoch it is. */
  source(host: Host, epoch: () => number): LegacySource {
    const underWay = new Map<string, Promise<LegacyAnswer>>();
    return {
      covers: (key) => key.startsWith(LEGACY_PREFIX),
      fetch: (key) => {
        const existing = underWay.get(key);
        if (existing !== undefined) return existing;
        const answer = this.#ask(host, key, epoch()).finally(() => underWay.delete(key));
        underWay.set(key, answer);
        return answer;
      },
      stats: () => [],
      close: () => Promise.resolve(),
    };
  }

  #ask(host: Host, key: string, epoch: number): Promise<LegacyAnswer> {
    const { delayMs = this.delayMs, failure } = this.trouble();
    const startedAtMs = this.#time.monotonicMs();
    const inTime = delayMs < TIMEOUT_MS;
    const endedAtMs = startedAtMs + Math.min(delayMs, TIMEOUT_MS);
    const call = { key, node: host.name, epoch, startedAtMs, endedAtMs };
    this.calls.push(call);
    const answer = inTime ? this.#answer(key, failure) : failed('no answer in time');
    return new Promise((resolve) => {
      host.timers.after(endedAtMs - startedAtMs, () => {
        call.endedAtMs = this.#time.monotonicMs();
        resolve(answer);
      });
    });
  }

  #answer(key: string, failure: string | undefined): LegacyAnswer {
    if (failure !== undefined) return failed(failure);
    const value = this.has(key);
    if (value === undefined) return { kind: 'absent', ttlMs: 5_000 };
    return { kind: 'found', value, ttlMs: 0 };
  }
}

function failed(reason: string): LegacyAnswer {
  return { kind: 'failed', reason };
}

export interface CallsOf {
  readonly calls: readonly LegacyCall[];
  readonly operations: readonly Operation[];
  /** Whether the API has the key. */
  readonly has: (key: string) => boolean;
  /** Moments at which the table forgot what it knew, or some of it. */
  readonly forgotten: readonly KeyEvent[];
}

/**
 * Calls that should not have been: while another one for the same key was under way in the same epoch, or
 * for a key that the API has after a command on it was answered: since then the table knows.
 */
export function needlessCalls({ calls, operations, has, forgotten }: CallsOf): string[] {
  const answers = new Map<string, Operation[]>();
  for (const operation of operations) {
    if (operation.outcome !== 'ok') continue;
    for (const key of keysOf(operation.command).filter(has))
      answers.set(key, [...(answers.get(key) ?? []), operation]);
  }
  const isKnown = ({ key, startedAtMs }: LegacyCall): boolean => {
    const past = forgotten.filter(
      (event) => event.values.has(key) && event.startedAtMs < startedAtMs,
    );
    const sinceMs = Math.max(0, ...past.map((event) => event.endedAtMs));
    // One that began before may have been carried out before, whenever it was answered.
    return (answers.get(key) ?? []).some(
      (known) => known.startedAtMs > sinceMs && known.endedAtMs < startedAtMs,
    );
  };
  const findings: string[] = [];
  const last = new Map<string, LegacyCall>();
  for (const call of calls) {
    const { key, epoch, startedAtMs } = call;
    const before = last.get(key);
    if (before !== undefined && before.epoch === epoch && startedAtMs < before.endedAtMs)
      findings.push(`asked twice at once: ${describe(before)}, ${describe(call)}`);
    if (isKnown(call)) findings.push(`asked although the key was known: ${describe(call)}`);
    last.set(key, call);
  }
  return findings;
}

function describe({ key, node, epoch, startedAtMs, endedAtMs }: LegacyCall): string {
  return `${key} by ${node} in epoch ${epoch} at ${startedAtMs.toFixed(3)}-${endedAtMs.toFixed(3)} ms`;
}
