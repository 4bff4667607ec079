import { describe, expect, test } from 'vitest';
import type { MembershipWish } from '../../../src/commands/ports.ts';
import { ReplyError } from '../../../src/errors.ts';
import { fakeCluster, fakeNode, fakeServer, STATUS, textOf } from './fakes.ts';

/** A server whose cluster grants everything, and what it was asked for. */
function granting() {
  const wishes: MembershipWish[] = [];
  const grant = (wish: MembershipWish): Promise<void> => {
    wishes.push(wish);
    return Promise.resolve();
  };
  const nodes = () => [fakeNode(1), fakeNode(2), fakeNode(3, { state: 'removed' })];
  const server = fakeServer({ cluster: fakeCluster({ grant, nodes }) });
  return { server, wishes };
}

const TWO = '2'.repeat(40);

describe('an operator asks for', () => {
  const leave = (node: string): MembershipWish => ({ kind: 'leave', node });
  test.each<[line: string, wish: MembershipWish]>([
    ['CLUSTER LEAVE', leave('node-1')],
    ['CLUSTER LEAVE node-2', leave('node-2')],
    [`CLUSTER LEAVE ${TWO}`, leave('node-2')],
    [`CLUSTER FORGET ${TWO}`, leave('node-2')],
    ['CLUSTER SET-REPLICAS 2', { kind: 'replicas', replicas: 2 }],
    ['CLUSTER SET-LEAD node-2', { kind: 'lead', node: 'node-2' }],
    [`CLUSTER SET-LEAD ${TWO}`, { kind: 'lead', node: 'node-2' }],
    ['CLUSTER SET-LEAD none', { kind: 'lead', node: null }],
    ['CLUSTER SET-WEIGHT node-2 64', { kind: 'weight', node: 'node-2', tokens: 64 }],
  ])('%s, and it is granted', async (line, wish) => {
    const { server, wishes } = granting();
    expect(await server.send(line)).toBe('+OK\r\n');
    expect(wishes).toEqual([wish]);
  });

  test.each<[line: string, reply: string]>([
    ['CLUSTER LEAVE nobody', '-ERR Unknown node nobody'],
    ['CLUSTER FORGET nobody', '-ERR Unknown node nobody'],
    ['CLUSTER SET-LEAD nobody', '-ERR Unknown node nobody'],
    ['CLUSTER SET-WEIGHT nobody 3', '-ERR Unknown node nobody'],
    ['CLUSTER SET-WEIGHT node-2 0', '-ERR value is out of range, must be between 1 and 4096'],
    ['CLUSTER SET-REPLICAS 17', '-ERR value is out of range, must be between 1 and 16'],
    ['CLUSTER SET-REPLICAS two', '-ERR value is not an integer or out of range'],
  ])('%s, which is wrong, and nothing changes', async (line, reply) => {
    const { server, wishes } = granting();
    expect(await server.send(line)).toBe(`${reply}\r\n`);
    expect(wishes).toEqual([]);
  });

  test('what is refused, and is told why', async () => {
    const grant = () => Promise.reject(new ReplyError('ERR', 'no node would be left'));
    const server = fakeServer({ cluster: fakeCluster({ grant }) });
    expect(await server.send('CLUSTER LEAVE')).toBe('-ERR no node would be left\r\n');
  });

  test('FORGET of a node that is dead, and nothing is left to be done', async () => {
    const { server, wishes } = granting();
    expect(await server.send('CLUSTER FORGET node-3')).toBe('+OK\r\n');
    expect(wishes).toEqual([]);
  });
});

describe('CLUSTER STATUS and VIEWS', () => {
  test('answer in JSON', async () => {
    const view = { epoch: 3, id: 'x', at: '', replicas: 2, wantedReplicas: 2 };
    const lists = { settled: ['a'], removed: [], coming: ['a'], leaving: [] };
    const asked: number[] = [];
    const views = (limit: number) => {
      asked.push(limit);
      return Promise.resolve([{ ...view, ...lists }]);
    };
    const server = fakeServer({ cluster: fakeCluster({ views }) });
    expect(JSON.parse(textOf(await server.send('CLUSTER STATUS')))).toEqual(STATUS);
    expect(JSON.parse(textOf(await server.send('CLUSTER VIEWS')))).toEqual([{ ...view, ...lists }]);
    await server.send('CLUSTER VIEWS 3');
    expect(asked).toEqual([10, 3]);
    expect(await server.send('CLUSTER VIEWS 0')).toMatch(/^-ERR value is out of range/);
  });
});

describe('what Redis Cluster does by hand', () => {
  test.each([
    ['CLUSTER ADDSLOTS 1 2', 'SET-WEIGHT'],
    ['CLUSTER ADDSLOTSRANGE 1 2', 'SET-WEIGHT'],
    ['CLUSTER DELSLOTS 1', 'SET-WEIGHT'],
    ['CLUSTER DELSLOTSRANGE 1 2', 'SET-WEIGHT'],
    ['CLUSTER FLUSHSLOTS', 'SET-WEIGHT'],
    [`CLUSTER SETSLOT 1 NODE ${TWO}`, 'SET-WEIGHT'],
    ['CLUSTER FAILOVER TAKEOVER', 'CLUSTER LEAVE'],
    ['CLUSTER RESET HARD', 'CLUSTER LEAVE'],
    [`CLUSTER REPLICATE ${TWO}`, 'CLUSTER SET-REPLICAS'],
    ['CLUSTER BUMPEPOCH', 'CLUSTER VIEWS'],
    ['CLUSTER SET-CONFIG-EPOCH 3', 'CLUSTER VIEWS'],
    ['CLUSTER MEET 127.0.0.1 7009', 'ringfence cluster add'],
    [`CLUSTER FORGET ${'1'.repeat(40)}`, 'CLUSTER LEAVE'],
  ])('%s is an error that names %s', async (line, instead) => {
    const reply = await granting().server.send(line);
    expect(reply).toMatch(/^-ERR /);
    expect(reply).toContain(instead);
  });

  test.each([
    ['CLUSTER MEET 127.0.0.1 7002', '+OK'],
    ['CLUSTER SAVECONFIG', '+OK'],
    [`CLUSTER REPLICAS ${TWO}`, '*0'],
    [`CLUSTER SLAVES ${TWO}`, '*0'],
    [`CLUSTER COUNT-FAILURE-REPORTS ${TWO}`, ':0'],
    ['CLUSTER REPLICAS nobody', '-ERR Unknown node nobody'],
    ['CLUSTER MEET 127.0.0.1 0', '-ERR Invalid base port specified: 0'],
  ])('%s answers %s', async (line, reply) => {
    expect(await granting().server.send(line)).toBe(`${reply}\r\n`);
  });
});
