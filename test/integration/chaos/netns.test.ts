/**
 * Hosts in network namespaces, where this is run as root with the tools for it. Where it is not, there
 * is no test here for them, and `npm test` says so above its summary.
 */
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Disturbance } from '../../../chaos/live/network.ts';
import { Netns } from '../../../chaos/live/netns.ts';
import { canUseNetns } from '../../../scripts/lib/tools.mjs';
import { shortRun } from './run.ts';

/** Each host has all ports for itself. */
const PORT_BASE = 7000;

test('the summary names network namespaces where they cannot be used', () => {
  expect(canUseNetns('')).toBe(false);
});

if (canUseNetns()) {
  describe('a network between namespaces', () => {
    let ground: Netns;
    const hosts = ['a', 'b', 'c'];

    beforeEach(async () => {
      ground = new Netns();
      await ground.open(hosts);
    });

    afterEach(() => ground.close());

    /** Does a packet get there and an answer back? */
    const reaches = (from: string, to: string): boolean => {
      const script = `
        const socket = require('net').connect(9, '${ground.address(to)}');
        socket.on('error', ({ code }) => { console.log(code); process.exit(); });
        setTimeout(() => { console.log('silence'); process.exit(); }, 400);`;
      const [command = '', ...args] = ground.on(from, [process.execPath, '-e', script]);
      const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
      // Nobody listens there: a refusal is the answer of a host that was reached.
      expect(stdout.trim()).toMatch(/ECONNREFUSED|silence/);
      return stdout.trim() === 'ECONNREFUSED';
    };

    test('without a disturbance every host reaches every other', () => {
      for (const from of hosts) {
        for (const to of hosts) expect(reaches(from, to)).toBe(true);
      }
    });

    test('a split is silent between its sides only, and is mended', async () => {
      const split: Disturbance = { kind: 'split', hosts: ['a'], others: ['b'] };
      const mend = await ground.network.disturb(split);
      expect([reaches('a', 'b'), reaches('b', 'a')]).toEqual([false, false]);
      expect([reaches('a', 'c'), reaches('b', 'c')]).toEqual([true, true]);
      await mend();
      expect([reaches('a', 'b'), reaches('b', 'a')]).toEqual([true, true]);
    });

    test('this program reaches a host that is cut from all others', async () => {
      await ground.network.disturb({ kind: 'split', hosts: ['a'], others: ['b', 'c'] });
      const socket = connect(9, ground.address('a'));
      const code = await new Promise((resolve) => {
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      });
      expect(code).toBe('ECONNREFUSED');
    });

    test('closing leaves no namespace behind', async () => {
      await ground.close();
      const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
      expect(stdout).not.toContain(`${process.pid}-`);
    });
  });

  test('cuts, a partition and resets, then a cold start: every checker holds', async () => {
    const faults = ['cut-one-way', 'partition-minority', 'reset-connections'];
    const { code, said } = await shortRun(new Netns(), PORT_BASE, faults);
    expect(code, said).toBe(0);
  }, 180_000);
}
