/** No slot has two nodes, or two lives of one node, that would answer as its primary at the same time. */
import type { PrimarySpan } from '../history.ts';
import { type Checker, verdict } from './checker.ts';

const NAME = 'one-primary';

export const onePrimary: Checker = {
  name: NAME,
  claim: 'At any time at most one node serves as primary of a slot.',
  check({ primaries }) {
    if (primaries.length === 0) {
      const judged = 'this run did not record who was primary when';
      return { checker: NAME, status: 'not-judged', judged, findings: [] };
    }
    const findings = new Set<string>();
    for (const spans of byPiece(primaries)) collisions(spans, findings);
    return verdict(NAME, `${primaries.length} times of service`, [...findings]);
  },
};

/**
 * The slots cut into pieces at every beginning and end of a span's slots: a span covers a piece as a whole or not
 * at all. Gives the spans of each piece.
 */
function byPiece(primaries: readonly PrimarySpan[]): PrimarySpan[][] {
  const cuts = new Set(primaries.flatMap(({ slots: [first, last] }) => [first, last + 1]));
  const starts = [...cuts].sort((a, b) => a - b);
  const positions = new Map(starts.map((start, i) => [start, i]));
  const pieces: PrimarySpan[][] = starts.map(() => []);
  for (const span of primaries) {
    const [first, last] = span.slots;
    const end = positions.get(last + 1)!;
    for (let i = positions.get(first)!; i < end; i++) pieces[i]!.push(span);
  }
  return pieces;
}

/** Spans of one slot that overlap in time and are of different lives. */
function collisions(spans: readonly PrimarySpan[], findings: Set<string>): void {
  let active: PrimarySpan[] = [];
  for (const span of [...spans].sort((a, b) => a.startedAtMs - b.startedAtMs)) {
    active = active.filter(({ endedAtMs }) => endedAtMs > span.startedAtMs);
    for (const other of active) {
      const same = span.node === other.node && span.incarnation === other.incarnation;
      if (!same && span.endedAtMs > span.startedAtMs) findings.add(describe(other, span));
    }
    active.push(span);
  }
}

function describe(first: PrimarySpan, second: PrimarySpan): string {
  const from = Math.max(first.slots[0], second.slots[0]);
  const to = Math.min(first.slots[1], second.slots[1]);
  const until = Math.min(first.endedAtMs, second.endedAtMs);
  return [
    `slots ${from}-${to} had two primaries at ${second.startedAtMs.toFixed(3)}-${until.toFixed(3)} ms:`,
    ...[first, second].map(
      ({ node, incarnation, epoch, startedAtMs, endedAtMs }) =>
        `  ${node} (${incarnation}) of epoch ${epoch}, ${startedAtMs.toFixed(3)}-${endedAtMs.toFixed(3)} ms`,
    ),
  ].join('\n');
}
