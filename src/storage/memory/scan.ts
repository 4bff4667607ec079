/**
 * SCAN's order: by a fixed hash of the key, which is the order of the tables. A cursor is then only (slot, hash), holds no
 * state on any node, and survives a change of primary: a key that is there throughout is seen exactly once, however
 * many others come and go, because its place in the order never moves.
 */
import type { Entry } from './entry.ts';
import type { KeyTable } from './key-table.ts';
import type { Records } from './records.ts';

export interface ScanItem {
  readonly hash: number;
  readonly entry: Entry;
}

/** One step through a slot, in order of hash. */
export interface ScanPage {
  readonly items: readonly ScanItem[];
  /** Where to go on: the hash of the last item, or what was asked for when there is none. */
  readonly lastHash: number;
  /** Nothing comes after this page. */
  readonly done: boolean;
}

/** A slot with at most so many records is looked at as a whole to draw one. */
const WHOLE_MAX = 1024;
/** Of a larger one, so many neighbours are looked at. */
const NEIGHBOURS = 64;

/**
 * The keys with a hash above `afterHash` (-1: from the start), at least `limit` of them if there are as many;
 * keys of equal hash are never parted. Remembered absences are left out, expired keys are not.
 */
export function scanPage(
  table: KeyTable,
  slot: number,
  afterHash: number,
  limit: number,
  reading: { readonly records: Records; read(at: number): Entry },
): ScanPage {
  const { records } = reading;
  const live: number[] = [];
  let position = afterHash;
  let done = false;
  while (!done && live.length < limit) {
    const step = table.after(slot, position, limit - live.length);
    for (const at of step.found) if (!records.isAbsent(at)) live.push(at);
    if (step.found.length > 0) position = records.order(step.found.at(-1)!);
    ({ done } = step);
  }
  let end = Math.min(limit, live.length);
  while (
    end > 0 &&
    end < live.length &&
    records.order(live[end]!) === records.order(live[end - 1]!)
  )
    end++;
  const whole = end === live.length;
  const items = live
    .slice(0, end)
    .map((at) => ({ hash: records.order(at), entry: reading.read(at) }));
  // Behind absences at the end nothing has to be looked at again.
  const lastHash = items.at(-1)?.hash ?? afterHash;
  return { items, lastHash, done: done && whole };
}

/** A record of a live key of the slot, evenly drawn, or undefined when there is none. */
export function drawLive(
  table: KeyTable,
  slot: number,
  records: Records,
  below: (bound: number) => number,
): number | undefined {
  const whole = table.size(slot) <= WHOLE_MAX;
  let position = whole ? -1 : below(2 ** 32) - 1;
  const start = position;
  for (let wrapped = false; ; ) {
    const { found, done } = table.after(slot, position, whole ? WHOLE_MAX : NEIGHBOURS);
    const live = found.filter((at) => !records.isAbsent(at));
    if (live.length > 0) return live[below(live.length)];
    if (found.length > 0) position = records.order(found.at(-1)!);
    if (wrapped && (done || position > start)) return undefined;
    if (!done) continue;
    if (whole) return undefined;
    wrapped = true;
    position = -1;
  }
}
