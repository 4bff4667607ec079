/** Workloads that send one command a step, drawn from a table, to a key that all clients share. */
import type { Random } from '../../src/platform/clock.ts';
import { SharedKeys } from './shared-keys.ts';
import type { CheckerName, Workload } from './workload.ts';

/** What a command is made of; `value` is never given twice. */
export interface Draw {
  readonly key: string;
  /** Other keys beside it, which live and are given up together with it. */
  readonly part: (name: string) => string;
  readonly value: () => string;
  readonly random: Random;
}

export interface Choice {
  /** How often, against the others. */
  readonly weight: number;
  /** Sent by clients that only read, too. */
  readonly reads?: true;
  readonly command: (draw: Draw) => readonly string[];
}

export interface MixedCommandsOptions {
  readonly name: string;
  readonly checkers: readonly CheckerName[];
  /** Keys in use at a time. */
  readonly keys: number;
  /** What keys begin with, which decides their policy; `chaos` when missing. */
  readonly root?: string;
  /** A key is given up for a fresh one after so many; 400 when missing. */
  readonly operationsPerKey?: number;
  /** Every so manieth client only reads: it goes on where a writer waits for an answer. None when missing. */
  readonly readersEvery?: number;
  readonly choices: readonly Choice[];
}

export function mixedCommands(options: MixedCommandsOptions): Workload {
  const { name, checkers, keys, root = 'chaos', operationsPerKey, readersEvery } = options;
  const reads = options.choices.filter((choice) => choice.reads === true);
  return {
    name,
    checkers,
    begin(run) {
      const shared = new SharedKeys(`${root}:${run}:${name}`, keys, operationsPerKey);
      let clients = 0;
      return ({ client, random, send }) => {
        const isReader = readersEvery !== undefined && ++clients % readersEvery === 0;
        const choices = isReader ? reads : options.choices;
        let values = 0;
        const value = (): string => `${client}.${values++}`;
        return async () => {
          const position = shared.pick(random);
          const { command } = choose(choices, random);
          const { outcome } = await send(
            command({
              key: shared.name(position),
              part: (part) => shared.name(position, part),
              value,
              random,
            }),
          );
          shared.used(position, outcome);
        };
      };
    },
  };
}

function choose(choices: readonly Choice[], random: Random): Choice {
  let left = random.below(choices.reduce((sum, { weight }) => sum + weight, 0));
  for (const choice of choices) {
    left -= choice.weight;
    if (left < 0) return choice;
  }
  throw new RangeError('no choices');
}
