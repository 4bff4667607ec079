/** Processes that die, stop, stand still and come back. */
import { POSTGRES } from '../target.ts';
import { always, DOWN_MS, type Fault, LONG_MS, pause, SHORT_MS, whileBroken } from './fault.ts';

export const killNode: Fault = {
  name: 'kill-node',
  summary: 'kill -9 of a node; it is started again after three seconds',
  part: 'a node',
  nodes: 1,
  whyNot: always,
  async inject({ target, say, pickNode }) {
    const node = pickNode();
    say(`kill -9 of ${node}`);
    await whileBroken(
      () => target.start(node),
      async () => {
        await target.kill(node);
        await pause(DOWN_MS);
      },
    );
    say(`${node} was started again`);
  },
};

export const restartNode: Fault = {
  name: 'restart-node',
  summary: 'an orderly stop of a node, and its start at once',
  part: 'a node',
  nodes: 1,
  whyNot: always,
  async inject({ target, say, pickNode }) {
    const node = pickNode();
    say(`stopping ${node}`);
    await whileBroken(
      () => target.start(node),
      () => target.stop(node),
    );
    say(`${node} was started again`);
  },
};

export const killEverything: Fault = {
  name: 'kill-everything',
  summary: 'kill -9 of all nodes and PostgreSQL: what was acknowledged is only on the disk',
  part: 'everything',
  nodes: 0,
  whyNot: always,
  async inject({ target, say }) {
    const hosts = [POSTGRES, ...target.nodes.map(({ name }) => name)];
    say('kill -9 of all nodes and PostgreSQL');
    await whileBroken(
      () => target.start(...hosts),
      async () => {
        await target.kill(...hosts);
        await pause(DOWN_MS);
      },
    );
    say('all were started again');
  },
};

export const pauseShort = pauseFault({
  name: 'pause-short',
  summary: 'SIGSTOP of a node for less than a lease',
  ms: SHORT_MS,
});

export const pauseLong = pauseFault({
  name: 'pause-long',
  summary: 'SIGSTOP of a node for more than two leases: it wakes up replaced',
  ms: LONG_MS,
});

function pauseFault({ name, summary, ms }: { name: string; summary: string; ms: number }): Fault {
  return {
    name,
    summary,
    part: 'a node',
    nodes: 1,
    whyNot: always,
    async inject({ target, say, pickNode }) {
      const node = pickNode();
      say(`SIGSTOP of ${node} for ${ms / 1000} s`);
      await target.pause(node);
      await whileBroken(
        () => target.resume(node),
        () => pause(ms),
      );
      say(`SIGCONT of ${node}`);
    },
  };
}
