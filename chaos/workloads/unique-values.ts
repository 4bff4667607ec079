/** Each client writes many keys of its own and reads them again: cold keys, all over the slots. */
import { EVERY_WORKLOAD, type Workload } from './workload.ts';

const KEYS_PER_CLIENT = 60;
const READ_ODDS = 0.3;

export const uniqueValues: Workload = {
  name: 'unique-values',
  checkers: EVERY_WORKLOAD,
  begin:
    (run) =>
    ({ client, random, send }) => {
      let step = 0;
      return async () => {
        const key = `chaos:${run}:unique-values:${client}:${random.below(KEYS_PER_CLIENT)}`;
        if (random.float() < READ_ODDS) await send(['GET', key]);
        else await send(['SET', key, `${client}.${step++}`]);
      };
    },
};
