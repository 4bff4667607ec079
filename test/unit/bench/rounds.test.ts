import { describe, expect, test } from 'vitest';
import type { Contender, Load } from '../../../bench/load/load.ts';
import { medians, runInTurn, type Side } from '../../../bench/load/rounds.ts';
import { round } from './figures.ts';

const LOAD: Load = { command: 'get', prefix: 'key:', connections: 1, pipeline: 1 };

/** Answers at once with a given rate, and notes who was asked for how much. */
function fake(id: string, opsPerSecond: number, asked: string[]): Side {
  const contender: Contender = {
    id,
    label: id,
    processes: () => [],
    fill: () => Promise.resolve(),
    run: (_, operations) => {
      asked.push(`${id} ${operations}`);
      return Promise.resolve({ operations, opsPerSecond, p50Ms: 1, p99Ms: 2, clientUs: 0 });
    },
    stop: () => Promise.resolve(),
  };
  return { id, label: id, contender, load: LOAD };
}

const DURATIONS = { rounds: 2, roundSeconds: 2, warmUpSeconds: 1 };

describe('rounds of the bench', () => {
  test('sides are warmed up, then measured in turn, each for as long as its rate says', async () => {
    const asked: string[] = [];
    const sides = [fake('peer', 1000, asked), fake('ours', 500, asked)];
    const results = await runInTurn(
      sides,
      DURATIONS,
      (seen) => seen.opsPerSecond,
      () => undefined,
    );
    const warmUp = ['peer 5000', 'peer 1000', 'ours 5000', 'ours 500'];
    expect(asked).toEqual([...warmUp, 'peer 2000', 'ours 1000', 'peer 2000', 'ours 1000']);
    expect(results.map(({ median }) => median.value)).toEqual([1000, 500]);
  });

  test('at a fixed rate the rate decides how much is asked, not what came out', async () => {
    const asked: string[] = [];
    const side = fake('ours', 90, asked);
    const paced = { ...side, load: { ...LOAD, ratePerSecond: 100 } };
    await runInTurn(
      [paced],
      DURATIONS,
      (seen) => seen.p99Ms,
      () => undefined,
    );
    expect(asked).toEqual(['ours 100', 'ours 200', 'ours 200']);
  });

  test('medians are of each figure by itself', () => {
    const rounds = [round(1, { a: 3, b: 1 }), round(2, { a: 1, b: 9 }), round(9, { a: 2, b: 2 })];
    const { value, processorUs } = medians(rounds);
    expect(value).toBe(2);
    expect(processorUs).toEqual({ total: 4, byProcess: { a: 2, b: 2 }, client: 8 });
  });

  test('a figure that some rounds lack has no median', () => {
    expect(medians([{ value: 1 }, round(3, { a: 1 })])).toEqual({ value: 2 });
  });
});
