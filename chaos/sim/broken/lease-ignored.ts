import type { Mutation } from './mutation.ts';

export const leaseIgnored: Mutation = {
  name: 'lease-ignored',
  why: 'A node believes in its lease for ever: paused or cut off, it answers from its memory what others have changed since.',
  file: 'src/cluster/lease.ts',
  text: 'if (now >= this.#untilMs) return false;',
  replacement: 'if (this.#untilMs > 0) return true;',
  faults: ['pause-long', 'suspend', 'cut-from-database', 'partition'],
  seedsMax: 8,
};
