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
    const findings: string[] = [];
    let active: PrimarySpan[] = [];
    for (const span of [...primaries].sort((a, b) => a.startedAtMs - b.startedAtMs)) {
      active = active.filter(({ endedAtMs }) => endedAtMs > span.startedAtMs);
      for (const other of active) if (collide(span, other)) findings.push(describe(other, span));
      active.push(span);
    }
    return verdict(NAME, `${primaries.length} times of service`, findings);
  },
};

/** Of spans that overlap in time. */
function collide(a: PrimarySpan, b: PrimarySpan): boolean {
  const same = a.node === b.node && a.incarnation === b.incarnation;
  return (
    !same && a.slots[0] <= b.slots[1] && b.slots[0] <= a.slots[1] && a.endedAtMs > a.startedAtMs
  );
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
