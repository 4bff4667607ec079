/**
 * Hosts in network namespaces, where this is run as root with the tools for it. Where it is not, there
 * is no test here for them, and `npm test` says so above its summary.
 */
import { spawn, spawnSync } from 'node:child_process';
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

    /** What a connection to a port where nobody listens comes to: a refusal, if the host is reached. */
    const dial = (from: string, to: string): string => {
      const script = `
        const socket = require('net').connect(9, '${ground.address(to)}');
        socket.on('error', ({ code }) => { console.log(code); process.exit(); });
        setTimeout(() => { console.log('silence'); process.exit(); }, 400);`;
      const [command = '', ...args] = ground.on(from, [process.execPath, '-e', script]);
      return spawnSync(command, args, { encoding: 'utf8' }).stdout.trim();
    };

    const reaches = (from: string, to: string): boolean => {
      const answer = dial(from, to);
      expect(answer).toMatch(/ECONNREFUSED|silence/);
      return answer === 'ECONNREFUSED';
    };

    /** Resolves when the host has a connection, as its kernel sees it. */
    const untilConnected = async (host: string): Promise<void> => {
      const [command = '', ...args] = ground.on(host, ['cat', '/proc/net/tcp']);
      const established = / 01 /;
      for (;;) {
        const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
        if (established.test(stdout)) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };

    /** A connection from one host to another that says how it ended. */
    const connectionEnds = (from: string, to: string): Promise<[string, string]> => {
      const run = (host: string, script: string): Promise<string> => {
        const [command = '', ...args] = ground.on(host, [process.execPath, '-e', script]);
        const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
        let output = '';
        child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
        return new Promise((resolve) => child.once('close', () => resolve(output.trim())));
      };
      // Both ends speak all the time, so that each would hear of a reset by itself.
      const speak = `(socket, over) => {
        const timer = setInterval(() => socket.write('x'), 20);
        socket.resume().on('error', ({ code }) => { clearInterval(timer); console.log(code); over(); });
      }`;
      const server = `const speak = ${speak};
        const server = require('net').createServer((s) => speak(s, () => server.close())).listen(7);`;
      const client = `const speak = ${speak};
        const dial = () => {
          const socket = require('net').connect(7, '${ground.address(to)}');
          socket.once('error', () => setTimeout(dial, 20));
          socket.once('connect', () => { socket.removeAllListeners('error'); speak(socket, () => {}); });
        };
        dial();`;
      return Promise.all([run(from, client), run(to, server)]);
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

    test('a reset is heard at both ends of a connection', async () => {
      const ends = connectionEnds('a', 'b');
      await untilConnected('a');
      await ground.network.disturb({ kind: 'reset', host: 'a', others: ['b'] });
      for (const code of await ends) expect(code).toMatch(/ECONNRESET|EPIPE/);
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
