/** The legacy API slow, failing, or answering what nobody can read. */
import type { Ground, SimFault } from '../ground.ts';
import type { LegacyTrouble } from '../legacy.ts';
import type { SeededRandom } from '../random.ts';

/** Past the time that a node waits for an answer, now and then. */
const SLOWEST_MS = 3_000;

function trouble(
  name: string,
  words: string,
  draw: (random: SeededRandom) => LegacyTrouble,
): SimFault {
  return {
    name,
    workloads: ['legacy-keys', 'legacy-moves'],
    async inject(ground: Ground, random: SeededRandom) {
      const { legacy } = ground.sim;
      const odds = random.chance(0.5) ? 1 : random.between(0.2, 1);
      ground.say(`the legacy API ${words} ${(odds * 100).toFixed(0)} % of the calls`);
      legacy.trouble = () => (random.chance(odds) ? draw(random) : {});
      await ground.sleep(random.between(200, 4000));
      ground.say('the legacy API is well again');
      legacy.trouble = () => ({});
    },
  };
}

const slow = trouble('legacy-slow', 'is slow with', (random) => ({
  delayMs: random.float() ** 2 * SLOWEST_MS,
}));

const failing = trouble('legacy-failing', 'fails', (random) => ({
  failure: random.chance(0.5) ? 'it answered with status 503' : 'the answer is no JSON',
}));

export const LEGACY_FAULTS: readonly SimFault[] = [slow, failing];
