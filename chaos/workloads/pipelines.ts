/**
 * Several commands in one go on one connection, all for one key that nobody else touches: whatever becomes of
 * them on the way, they take effect in the order in which they were sent.
 */
import type { Random } from '../../src/platform/clock.ts';
import { EVERY_WORKLOAD, type Workload } from './workload.ts';

const KEYS_PER_CLIENT = 12;
const COMMANDS_MAX = 5;
/** A key is given up after so many commands: what a checker has to search grows with them. */
const COMMANDS_PER_KEY = 200;

export const pipelines: Workload = {
  name: 'pipelines',
  checkers: [...EVERY_WORKLOAD, 'program-order'],
  begin:
    (run) =>
    ({ client, random, send }) => {
      const generations = new Array<number>(KEYS_PER_CLIENT).fill(0);
      const counts = new Array<number>(KEYS_PER_CLIENT).fill(0);
      let values = 0;
      return async () => {
        const at = random.below(KEYS_PER_CLIENT);
        const key = `chaos:${run}:pipelines:${client}:${at}.${generations[at]}`;
        const commands = Array.from({ length: 2 + random.below(COMMANDS_MAX - 1) }, () =>
          draw(random, key, () => `${client}.${values++}`),
        );
        const answers = await Promise.all(commands.map(send));
        counts[at]! += commands.length;
        // What an unknown outcome left open may take effect at any later time: nothing has an order with it.
        const isOpen = answers.some(({ outcome }) => outcome === 'unknown');
        if (!isOpen && counts[at]! < COMMANDS_PER_KEY) return;
        generations[at]!++;
        counts[at] = 0;
      };
    },
};

function draw(random: Random, key: string, value: () => string): readonly string[] {
  const odds = random.float();
  if (odds < 0.4) return ['SET', key, value()];
  if (odds < 0.8) return ['GET', key];
  return odds < 0.9 ? ['GETSET', key, value()] : ['GETDEL', key];
}
