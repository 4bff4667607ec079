/**
 * Every scenario of `cases/` against us, compared with what redis-server was recorded to answer; and,
 * where redis-server is installed, against it too, so that a recording that drifted is noticed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toolOrNull } from '../support/redis-server.ts';
import { loadScenarios, type Scenario } from './case-file.ts';
import { play, type Answer, type Routing } from './player.ts';
import {
  CASES_FOLDER,
  expectedFromUs,
  idleDifferences,
  loadDifferences,
  loadRecording,
  type Recording,
} from './recordings.ts';
import { references, type References } from './reference.ts';
import { startTarget, type Target } from './target.ts';

const scenarios = loadScenarios(CASES_FOLDER);
const recordings = new Map<string, Recording>(
  [...new Set(scenarios.map(({ family }) => family))].map((family) => [
    family,
    loadRecording(family),
  ]),
);
const differences = loadDifferences();

const nameOf = (scenario: Scenario): string => `${scenario.family}: ${scenario.title}`;

function recordedAnswers({ family, title }: Scenario): readonly Answer[] {
  const answers = recordings.get(family)?.[title];
  if (!answers) throw new Error('not recorded yet: npx tsx test/conformance/record.ts');
  return answers;
}

describe('replies equal those of redis-server', () => {
  let target: Target;
  beforeAll(async () => {
    target = await startTarget();
  });
  afterAll(() => target.stop());

  for (const [index, scenario] of scenarios.entries()) {
    const routing: Routing = index % 2 === 0 ? 'first' : 'rotate';
    it(nameOf(scenario), async () => {
      const recorded = recordedAnswers(scenario);
      const expected = target.isRedis
        ? recorded
        : expectedFromUs(nameOf(scenario), recorded, differences);
      const nodes = await target.nodesFor(scenario.family);
      expect(await play(nodes, scenario, routing)).toEqual(expected);
    });
  }
});

if (toolOrNull('redis-server') !== null) {
  describe('redis-server still answers as recorded', () => {
    let servers: References;
    beforeAll(() => {
      servers = references();
    });
    afterAll(() => servers.stop());

    for (const scenario of scenarios) {
      it(nameOf(scenario), async () => {
        const server = await servers.forFamily(scenario.family);
        expect(await play([server], scenario, 'first')).toEqual(recordedAnswers(scenario));
      });
    }
  });
}

describe('the recordings', () => {
  it('hold no scenario that the cases no longer have', () => {
    const known = new Set(scenarios.map(nameOf));
    const recorded = [...recordings].flatMap(([family, recording]) =>
      Object.keys(recording).map((title) => `${family}: ${title}`),
    );
    expect(recorded.filter((name) => !known.has(name))).toEqual([]);
  });

  it('differ in every step that the table of differences lists', () => {
    expect(idleDifferences(differences, recordings)).toEqual([]);
  });
});
