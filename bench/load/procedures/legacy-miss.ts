/** Single flight: many clients of all nodes ask for one key that only the legacy API has. */
import { startSampleLegacy } from '../../../src/cli/sample-legacy.ts';
import type { Field } from '../field.ts';
import type { Contender, Load } from '../load.ts';
import type { Figures } from '../report.ts';
import { measure, type Round, sideResult } from '../rounds.ts';
import type { Scenario } from '../scenario.ts';
import { LEGACY_PREFIX, legacyPort } from '../targets.ts';

const CLIENTS = 1000;
/** Long enough for every client to ask while the first call is under way. */
const LEGACY_DELAY_MS = 500;

export function legacyMiss(spec: Pick<Scenario, 'id' | 'title' | 'group' | 'demands'>): Scenario {
  return {
    ...spec,
    metric: { name: 'upstream calls', unit: 'calls', better: 'less', digits: 0 },
    targets: ['cluster'],
    measure: missOften,
  };
}

async function missOften(field: Field): Promise<Figures> {
  const cluster = await field.get('cluster');
  const port = await legacyPort(field);
  const legacy = await startSampleLegacy({ host: '127.0.0.1', port });
  const stoppable = field.add({ stop: () => legacy.close() });
  const base = `http://127.0.0.1:${port}/legacy`;
  await fetch(`${base}/faults?delayMs=${LEGACY_DELAY_MS}`, { method: 'POST' });
  const rounds: Round[] = [];
  for (let i = 1; i <= field.options.durations.rounds; i++) {
    rounds.push(await missOnce(cluster, `${LEGACY_PREFIX}${i}`, base));
  }
  await field.end(stoppable);
  return { ours: sideResult('ringfence', cluster.label, rounds), peers: [] };
}

/** One round: all clients ask for the key, then the API tells how often it was called for it. */
async function missOnce(contender: Contender, hotKey: string, base: string): Promise<Round> {
  const load: Load = {
    command: 'get',
    prefix: LEGACY_PREFIX,
    hotKey,
    connections: CLIENTS,
    pipeline: 1,
    client: 'own',
    route: 'everywhere',
  };
  const round = await measure({ contender, load }, CLIENTS, () => 0);
  const answer = await fetch(`${base}/stats?key=${encodeURIComponent(hotKey)}`);
  const { calls } = (await answer.json()) as { calls: number };
  return { ...round, value: calls };
}
