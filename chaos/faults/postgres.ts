/** PostgreSQL gone, dead, silent, stopped, or without a byte left on its disk. */
import { POSTGRES } from '../target.ts';
import { always, DOWN_MS, type Fault, LONG_MS, otherNodes, pause, whileBroken } from './fault.ts';

export const postgresRestart: Fault = {
  name: 'postgres-restart',
  summary: 'an orderly restart of PostgreSQL',
  part: 'postgres',
  nodes: 0,
  whyNot: always,
  async inject({ target, say }) {
    say('restarting PostgreSQL');
    await whileBroken(
      () => target.start(POSTGRES),
      () => target.stop(POSTGRES),
    );
    say('PostgreSQL is back');
  },
};

export const postgresKill: Fault = {
  name: 'postgres-kill',
  summary: 'kill -9 of PostgreSQL; it is started again after three seconds (two leases)',
  part: 'postgres',
  nodes: 0,
  whyNot: always,
  async inject({ target, say }) {
    say('kill -9 of PostgreSQL');
    await whileBroken(
      () => target.start(POSTGRES),
      async () => {
        await target.kill(POSTGRES);
        await pause(DOWN_MS);
      },
    );
    say('PostgreSQL is back');
  },
};

export const postgresPause: Fault = {
  name: 'postgres-pause',
  summary: 'SIGSTOP of PostgreSQL, all its processes, for more than two leases',
  part: 'postgres',
  nodes: 0,
  whyNot: always,
  async inject({ target, say }) {
    say(`SIGSTOP of PostgreSQL for ${LONG_MS / 1000} s`);
    await target.pause(POSTGRES);
    await whileBroken(
      () => target.resume(POSTGRES),
      () => pause(LONG_MS),
    );
    say('SIGCONT of PostgreSQL');
  },
};

export const postgresUnreachable: Fault = {
  name: 'postgres-unreachable',
  summary: 'silence between PostgreSQL and all nodes for more than two leases',
  part: 'postgres',
  nodes: 0,
  whyNot: (target) =>
    target.network.whyNot({ kind: 'split', hosts: [POSTGRES], others: otherNodes(target) }),
  async inject({ target, say }) {
    say(`PostgreSQL is cut from all nodes for ${LONG_MS / 1000} s`);
    const split = { kind: 'split', hosts: [POSTGRES], others: otherNodes(target) } as const;
    const mend = await target.network.disturb(split);
    await whileBroken(mend, () => pause(LONG_MS));
    say('PostgreSQL can be reached again');
  },
};

export const diskFull: Fault = {
  name: 'disk-full',
  summary: "not a byte is left on the volume of PostgreSQL's data (ENOSPC)",
  part: 'postgres',
  nodes: 0,
  whyNot: (target) => target.disk.whyNot(),
  async inject({ target, say }) {
    say("the volume of PostgreSQL's data is full");
    await whileBroken(
      async () => {
        await target.disk.free();
        // Without room for its log, PostgreSQL stops itself rather than lose a commit.
        await target.start(POSTGRES);
      },
      async () => {
        await target.disk.fill();
        await pause(LONG_MS);
      },
    );
    say('the volume has room again');
  },
};
