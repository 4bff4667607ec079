/** A modelled legacy API: values by key, answered after a delay. */
import type { LegacyAnswer, LegacySource } from '../../src/storage/legacy/source.ts';
import type { VirtualTime } from './time.ts';

/** Keys with this prefix have a legacy source. */
export const LEGACY_PREFIX = 'legacy:';

export class SimLegacy implements LegacySource {
  readonly values = new Map<string, string>();
  readonly #time: VirtualTime;
  fetches = 0;
  /** Answers take this long, milliseconds. */
  delayMs = 5;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  covers(key: string): boolean {
    return key.startsWith(LEGACY_PREFIX);
  }

  fetch(key: string): Promise<LegacyAnswer> {
    this.fetches++;
    const value = this.values.get(key);
    const answer: LegacyAnswer =
      value === undefined ? { kind: 'absent', ttlMs: 5_000 } : { kind: 'found', value, ttlMs: 0 };
    return new Promise((resolve) => this.#time.after(this.delayMs, () => resolve(answer)));
  }

  stats(): [] {
    return [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
