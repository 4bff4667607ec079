/**
 * Each client writes many keys of its own, with a time to live and without, and deletes them without a look: most
 * are seldom in use, so it is the table that knows them, and memory is asked for them long after it has let them go.
 */
import { ttl } from './expiring.ts';
import type { Workload } from './workload.ts';

const KEYS_PER_CLIENT = 60;

export const coldKeys: Workload = {
  name: 'cold-keys',
  checkers: ['expiry', 'known-refusals'],
  begin:
    (run) =>
    ({ client, random, send }) => {
      let values = 0;
      return async () => {
        const key = `chaos:${run}:cold-keys:${client}:${random.below(KEYS_PER_CLIENT)}`;
        const odds = random.float();
        if (odds < 0.3) await send(['SET', key, `${client}.${values++}`, 'PX', ttl(random)]);
        else if (odds < 0.6) await send(['SET', key, `${client}.${values++}`]);
        else if (odds < 0.75) await send(['DEL', key]);
        else await send(['GET', key]);
      };
    },
};
