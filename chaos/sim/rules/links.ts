/** Rules of links between living nodes, switched off one by one. */
import type { Rule } from './rule.ts';

const COMPLAINTS = 'src/cluster/complaints.ts';

export const LINK_RULES: readonly Rule[] = [
  {
    row: 'one-cut-link',
    rule: 'half a lease without a word is a complaint',
    focus: { faults: ['one-link'], pace: { faults: 1 } },
    edits: [
      {
        file: COMPLAINTS,
        from: 'const isBad = now - watch.goodAtMs > this.#patienceMs;',
        to: 'const isBad = now - watch.goodAtMs > Number.MAX_SAFE_INTEGER;',
      },
    ],
  },
  {
    row: 'one-cut-link',
    variant: 'flapping',
    rule: 'a node joins only when its links to all members work',
    focus: { faults: ['one-link', 'cut-from-nodes'], pace: { faults: 1 } },
    edits: [
      {
        file: COMPLAINTS,
        from: 'return heardAtMs !== null && this.#env.clock.monotonicMs() - heardAtMs < this.#patienceMs;',
        to: 'return heardAtMs !== -1;',
      },
    ],
  },
  {
    row: 'stuck-but-renewing',
    rule: 'a learner goes first, then the one of whom several complain, then the one with fewer links',
    focus: { faults: ['cut-from-nodes'], nodes: 5, pace: { faults: 1 } },
    edits: [{ file: COMPLAINTS, from: 'if (ofA !== ofB) return', to: 'if (ofA < -ofB) return' }],
  },
];
