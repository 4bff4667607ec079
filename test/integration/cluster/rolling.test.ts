/** All nodes are restarted, and replaced by another release, one after the other, under clients of the rest. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCluster, type TestCluster } from '../../support/cluster.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { MixedLoad } from './mixed-load.ts';
import { eventually, say } from './wait.ts';

let server: TestPostgres;
let cluster: TestCluster;

beforeAll(async () => {
  server = await startPostgres();
  cluster = await startCluster({ store: await server.freshDatabase() });
});

afterAll(async () => {
  await cluster?.stop();
  await server?.stop();
});

/** As docs/operations.md says it: SIGTERM, start again, wait for /readyz, then the next. */
async function rollOver(name: string, release?: string): Promise<void> {
  for (const [index] of cluster.nodes.entries()) {
    const others = cluster.nodes.filter((_, i) => i !== index);
    const load = new MixedLoad(others, `${name}${index}`);
    await load.progress(500);
    await cluster.terminate(index);
    await load.progress(500);
    await cluster.start(index, release);
    for (const [i] of others.entries()) await cluster.ready(i);
    await load.progress(500);
    await load.stop();
    say(
      `${name}, node ${index + 1}: ${load.replies} replies, longest wait`,
      load.longestWaitMs | 0,
      'ms',
    );
    expect(load.failures).toEqual([]);
  }
}

test('rolling restart: no request of a client of another node fails', async () => {
  await rollOver('restart');
});

describe('another release', () => {
  test('takes the place of this one node by node, and no request of a client of another node fails', async () => {
    await rollOver('upgrade', cluster.otherRelease({ min: 1, max: 2 }));
    // Two of the new one speak the new version; back again, as an operator may have to.
    expect(cluster.nodes[2]!.log).toMatch(/"version":2[^\n]*link up/);
    await rollOver('downgrade', cluster.otherRelease({ min: 1, max: 1 }));
  });

  test('that has no link protocol in common stays outside, says why, and harms nobody', async () => {
    await cluster.terminate(2);
    const load = new MixedLoad(cluster.nodes.slice(0, 2), 'stranger');
    cluster.spawn(2, cluster.otherRelease({ min: 2, max: 3 }));
    const { host, httpPort } = cluster.nodes[2]!;
    await eventually(async () => {
      const response = await fetch(`http://${host}:${httpPort}/readyz`);
      expect(response.status).toBe(503);
      expect(await response.text()).toContain(
        'no link protocol in common: it speaks version 2 to 3, node-1 speaks 1; upgrade one release at a time',
      );
    });
    await load.progress(500);
    await load.stop();
    expect(load.failures).toEqual([]);
    await cluster.terminate(2);
    await cluster.start(2, cluster.otherRelease({ min: 1, max: 1 }));
  });
});
