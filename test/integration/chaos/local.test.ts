/** A short chaos run on processes of this machine: the whole way from the first fault to the verdicts. */
import { expect, test } from 'vitest';
import { Loopback, PORTS_TAKEN } from '../../../chaos/live/ground.ts';
import { freePortBlock } from '../../support/cluster.ts';
import { shortRun } from './run.ts';

test('one kill, one pause and one restart of PostgreSQL, then a cold start: every checker holds', async () => {
  const portBase = await freePortBlock(PORTS_TAKEN);
  const faults = ['kill-node', 'pause-short', 'postgres-restart'];
  const { code, said } = await shortRun(new Loopback(portBase), portBase, faults);
  expect(code, said).toBe(0);
  for (const name of faults) expect(said).toContain(`${name}: `);
}, 180_000);
