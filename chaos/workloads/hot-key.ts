/**
 * One key that most clients write without pause, some read and one renames back and forth: it is never clean, and
 * everybody has to get an answer. Too many commands overlap for a search, so nothing but the answers is judged.
 */
import type { Workload } from './workload.ts';

/** Of so many clients, one reads and one renames. */
const ROLES = 6;

export const hotKey: Workload = {
  name: 'hot-key',
  checkers: ['known-refusals'],
  begin(run) {
    const key = `chaos:${run}:hot-key:hot`;
    // Elsewhere, so that there are several owners; more keys keep the slots of all nodes in use.
    const others = Array.from({ length: 8 }, (_, i) => `chaos:${run}:hot-key:${i}`);
    let clients = 0;
    return ({ client, random, send }) => {
      const role = clients++ % ROLES;
      let values = 0;
      return async () => {
        const value = `${client}.${values++}`;
        if (role === 1) await send(['GET', key]);
        else if (role === 2) await send(['RENAME', key, others[random.below(others.length)]!]);
        else await send(['SET', key, value]);
      };
    };
  },
};
