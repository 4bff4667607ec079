import { describe, expect, test } from 'vitest';
import { fakeCluster, fakeNode, fakeServer, STATUS, textOf } from './fakes.ts';

/** Replies recorded from redis-server 7.0.15 with cluster-enabled yes. */
const REPLIES: readonly [line: string, reply: string][] = [
  ['CLUSTER', "-ERR wrong number of arguments for 'cluster' command"],
  ['CLUSTER FOO a', "-ERR unknown subcommand 'FOO'. Try CLUSTER HELP."],
  ['CLUSTER KEYSLOT', "-ERR wrong number of arguments for 'cluster|keyslot' command"],
  ['CLUSTER KEYSLOT abc', ':3'],
  ['CLUSTER COUNTKEYSINSLOT x', '-ERR value is not an integer or out of range'],
  ['CLUSTER COUNTKEYSINSLOT 16384', '-ERR Invalid slot'],
  ['CLUSTER COUNTKEYSINSLOT -1', '-ERR Invalid slot'],
  ['CLUSTER COUNTKEYSINSLOT 12', ':12'],
  ['CLUSTER GETKEYSINSLOT 1 x', '-ERR value is not an integer or out of range'],
  ['CLUSTER GETKEYSINSLOT 1 -1', '-ERR Invalid slot or number of keys'],
  ['CLUSTER GETKEYSINSLOT 99999 1', '-ERR Invalid slot or number of keys'],
  ['CLUSTER GETKEYSINSLOT 1', "-ERR wrong number of arguments for 'cluster|getkeysinslot' command"],
  ['CLUSTER GETKEYSINSLOT 1 2', '*2\r\n$8\r\nkey of 1\r\n$1\r\nb'],
  ['CLUSTER MYID', `$40\r\n${'1'.repeat(40)}`],
  ['CLUSTER NODES x', "-ERR wrong number of arguments for 'cluster|nodes' command"],
  ['READONLY', '+OK'],
  ['READWRITE', '+OK'],
];

describe('cluster commands reply as Redis does', () => {
  test.each(REPLIES)('%s', async (line, reply) => {
    expect(await fakeServer().send(line)).toBe(`${reply}\r\n`);
  });
});

const line = (node: number, flags: string, slots: string): string =>
  `${`${node}`.repeat(40)} 127.0.0.1:700${node}@1700${node} ${flags} - 0 0 7 connected${slots}\n`;

describe('CLUSTER NODES', () => {
  test('lists every node as master of the slots it is primary of, neighbours merged', async () => {
    expect(textOf(await fakeServer().send('CLUSTER NODES'))).toBe(
      line(1, 'myself,master', ' 0-199') +
        line(2, 'master', ' 200') +
        line(3, 'master', ' 201-16383'),
    );
  });

  test('flags what is cut off or removed, and keeps a joining node without slots', async () => {
    const nodes = [
      fakeNode(1),
      fakeNode(2, { connected: false }),
      fakeNode(3, { connected: false, state: 'removed' }),
      fakeNode(4, { state: 'joining' }),
    ];
    const server = fakeServer({ cluster: fakeCluster({ nodes: () => nodes }) });
    const lines = textOf(await server.send('CLUSTER NODES')).split('\n');
    const columns = lines.slice(0, -1).map((text) => text.split(' ').slice(2, 8));
    expect(columns.map((column) => [column[0], column[5]])).toEqual([
      ['myself,master', 'connected'],
      ['master,fail?', 'disconnected'],
      ['master,fail', 'disconnected'],
      ['master', 'connected'],
    ]);
  });
});

describe('CLUSTER SLOTS', () => {
  test('names primary and replicas of each range', async () => {
    const owner = (n: number): string =>
      `*4\r\n$9\r\n127.0.0.1\r\n:700${n}\r\n$40\r\n${`${n}`.repeat(40)}\r\n*0\r\n`;
    const reply = await fakeServer().send('CLUSTER SLOTS');
    expect(reply.startsWith(`*4\r\n*4\r\n:0\r\n:99\r\n${owner(1)}${owner(2)}*4\r\n:100\r\n`)).toBe(
      true,
    );
  });
});

describe('CLUSTER SHARDS', () => {
  test('has one shard for each node, with the slots it is primary of', async () => {
    const server = fakeServer();
    await server.send('HELLO 3');
    const reply = await server.send('CLUSTER SHARDS');
    const id = '1'.repeat(40);
    expect(reply.startsWith('*3\r\n%2\r\n$5\r\nslots\r\n*2\r\n:0\r\n:199\r\n')).toBe(true);
    expect(reply).toContain(
      `$5\r\nnodes\r\n*1\r\n%7\r\n$2\r\nid\r\n$40\r\n${id}\r\n$4\r\nport\r\n:7001\r\n` +
        '$2\r\nip\r\n$9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n' +
        '$4\r\nrole\r\n$6\r\nmaster\r\n$18\r\nreplication-offset\r\n:0\r\n' +
        '$6\r\nhealth\r\n$6\r\nonline\r\n',
    );
  });

  test.each([
    [{ connected: false }, 'fail'],
    [{ state: 'joining' as const }, 'loading'],
  ])('health of %j is %s', async (overrides, health) => {
    const nodes = [fakeNode(1, overrides)];
    const server = fakeServer({ cluster: fakeCluster({ nodes: () => nodes }) });
    expect(await server.send('CLUSTER SHARDS')).toContain(`\r\n${health}\r\n`);
  });
});

describe('CLUSTER INFO', () => {
  test('counts slots, nodes and primaries', async () => {
    expect(textOf(await fakeServer().send('CLUSTER INFO')).split('\r\n')).toEqual([
      'cluster_state:ok',
      'cluster_slots_assigned:16384',
      'cluster_slots_ok:16384',
      'cluster_slots_pfail:0',
      'cluster_slots_fail:0',
      'cluster_known_nodes:3',
      'cluster_size:3',
      'cluster_current_epoch:7',
      'cluster_my_epoch:7',
      'ringfence_replicas:2',
      'ringfence_replicas_wanted:2',
      'ringfence_lead:',
      'ringfence_moving:0',
      'ringfence_learning_slots:0',
      'ringfence_learning_slots_left:0',
      'ringfence_handover_learners:0',
      'ringfence_handover_slots:0',
      'ringfence_handover_slots_left:0',
      'ringfence_handover_bytes:0',
      'ringfence_handover_bytes_per_second:0',
      'ringfence_handover_slowed_by:',
      '',
    ]);
  });

  test('shows what is handed over, all learners together, and why it goes slowly', async () => {
    const rest = { bytes: 1000, bytesPerSecond: 10, unconfirmedBytes: 100 };
    const handOvers = [
      { to: 'd', slots: 100, filled: 40, slowedBy: 'database-slow', ...rest },
      { to: 'e', slots: 50, filled: 0, slowedBy: 'database-slow', ...rest },
    ];
    const status = () => ({
      ...STATUS,
      moving: true,
      wantedReplicas: 3,
      lead: 'node-2',
      handOvers,
    });
    const server = fakeServer({ cluster: fakeCluster({ status }) });
    const text = textOf(await server.send('CLUSTER INFO'));
    for (const line of [
      'ringfence_moving:1',
      'ringfence_replicas_wanted:3',
      'ringfence_lead:node-2',
      'ringfence_handover_learners:2',
      'ringfence_handover_slots:150',
      'ringfence_handover_slots_left:110',
      'ringfence_handover_bytes:2000',
      'ringfence_handover_bytes_per_second:20',
      'ringfence_handover_slowed_by:database-slow',
    ]) {
      expect(text).toContain(`${line}\r\n`);
    }
  });

  test('counts slots whose primary is out of reach, and a cluster that is not whole', async () => {
    const away = fakeNode(2, { connected: false });
    const slotRanges = () => [
      { from: 0, to: 9, owners: [away, fakeNode(1)] },
      { from: 10, to: 19, owners: [] },
    ];
    const server = fakeServer({ cluster: fakeCluster({ slotRanges, healthy: false }) });
    const text = textOf(await server.send('CLUSTER INFO'));
    expect(text).toContain('cluster_state:fail\r\n');
    expect(text).toContain('cluster_slots_assigned:10\r\ncluster_slots_ok:0\r\n');
    expect(text).toContain('cluster_slots_pfail:10\r\n');
  });
});

test('CLUSTER MYID of a node that is in no view yet says that it is joining', async () => {
  const server = fakeServer({ cluster: fakeCluster({ nodes: () => [] }) });
  expect(await server.send('CLUSTER MYID')).toMatch(/^-LOADING /);
});
