/** What is measured, against whom, and what shall come out: the list, in the order of a run. */
import { absolute, always, floor, goal, limit, type Metric } from './goals.ts';
import type { Load } from './load.ts';
import { MEMORY_PREFIX } from './peers/ringfence-cluster.ts';
import { startFromPackage, startNode } from './procedures/start.ts';
import { legacyMiss } from './procedures/legacy-miss.ts';
import { memoryPerKey } from './procedures/memory.ts';
import { longestPause } from './procedures/pause.ts';
import { scalingOf } from './procedures/scaling.ts';
import { warmUpRate } from './procedures/warm-up.ts';
import { atRate, inTurn, type Scenario } from './scenario.ts';

export { GROUPS, type Group, type Scenario } from './scenario.ts';

const PERSISTENT_PREFIX = 'key:';
const LARGE_KEYS = 2_000_000;

const get: Load = { command: 'get', prefix: PERSISTENT_PREFIX, connections: 50, pipeline: 1 };
const set: Load = { ...get, command: 'set' };
const set200: Load = { ...set, connections: 200 };
const setMemory: Load = { ...set, prefix: MEMORY_PREFIX };
const own = (load: Load): Load => ({ ...load, client: 'own' });
const byCluster = (load: Load): Load => ({ ...load, client: 'redis-benchmark --cluster' });
const pipelined = (load: Load): Load => ({ ...load, pipeline: 16 });

const P99: Metric = { name: 'slowest hundredth', unit: 'ms', better: 'less', digits: 2 };
const P999: Metric = { name: 'slowest thousandth', unit: 'ms', better: 'less', digits: 2 };

const READS: readonly Scenario[] = [
  inTurn({
    id: 'get',
    title: 'GET, 50 connections',
    group: 'reads',
    demands: [goal(1, 'redis'), floor(0.7, 'redis')],
    ours: { on: 'cluster', load: get },
    peers: [
      { on: 'redis', load: get },
      { on: 'bare', load: get },
    ],
  }),
  inTurn({
    id: 'get-pipelined',
    title: 'GET, 50 connections, 16 commands at once',
    group: 'reads',
    demands: [goal(0.8, 'redis')],
    ours: { on: 'cluster', load: pipelined(get) },
    peers: [
      { on: 'redis', load: pipelined(get) },
      { on: 'bare', load: pipelined(get) },
    ],
  }),
  inTurn({
    id: 'get-cluster',
    title: 'GET by redis-benchmark --cluster, 50 connections',
    group: 'reads',
    demands: [goal(0.8, 'redis-cluster')],
    ours: { on: 'cluster', load: byCluster(get) },
    peers: [{ on: 'redis-cluster', load: byCluster(get) }],
  }),
  inTurn({
    id: 'get-forwarded',
    title: 'GET of keys that the node does not own, against keys that it owns; 5 nodes, 2 owners',
    group: 'reads',
    demands: [goal(0.6, 'direct')],
    ours: { on: 'cluster-5', load: own({ ...get, route: 'not-owned' }), label: 'forwarded' },
    peers: [
      {
        on: 'cluster-5',
        load: own({ ...get, route: 'owned' }),
        id: 'direct',
        label: 'direct, same node',
      },
    ],
  }),
  inTurn({
    id: 'mget',
    title: 'MGET of 10 keys, against 10 pipelined GETs; keys a second, 50 connections',
    group: 'reads',
    demands: [goal(0.7, 'redis')],
    ours: { on: 'cluster', load: { ...get, command: 'mget', keysPerCommand: 10 } },
    peers: [{ on: 'redis', load: { ...get, pipeline: 10 }, label: 'redis-server, GET -P 10' }],
  }),
];

const WRITES: readonly Scenario[] = [
  inTurn({
    id: 'set',
    title: 'SET through to PostgreSQL, 50 connections',
    group: 'writes',
    demands: [goal(3, 'write-through'), floor(1.5, 'write-through'), goal(0.6, 'redis-always')],
    ours: { on: 'cluster', load: set },
    peers: [
      { on: 'write-through', load: set },
      { on: 'redis-always', load: set },
    ],
  }),
  inTurn({
    id: 'set-other-node',
    title: 'SET through to PostgreSQL by way of a node that is primary of nothing, 50 connections',
    group: 'writes',
    demands: [goal(3, 'write-through'), floor(1.5, 'write-through')],
    ours: { on: 'cluster', load: { ...set, node: 1 } },
    peers: [{ on: 'write-through', load: set }],
  }),
  inTurn({
    id: 'set-primaries',
    title:
      'SET through to PostgreSQL by a client that knows the cluster, 50 connections to primaries',
    group: 'writes',
    demands: [goal(3, 'write-through')],
    ours: { on: 'cluster', load: own({ ...set, route: 'primaries' }) },
    peers: [{ on: 'write-through', load: set }],
  }),
  inTurn({
    id: 'set-200',
    title: 'SET through to PostgreSQL, 200 connections',
    group: 'writes',
    demands: [goal(4, 'write-through'), goal(0.6, 'redis-always')],
    ours: { on: 'cluster', load: set200 },
    peers: [
      { on: 'write-through', load: set200 },
      { on: 'redis-always', load: set200 },
    ],
  }),
  inTurn({
    id: 'set-pipelined',
    title: 'SET through to PostgreSQL, 50 connections, 16 commands at once; rows a second',
    group: 'writes',
    demands: [goal(0.7, 'postgres-batch')],
    ours: { on: 'cluster', load: pipelined(set) },
    peers: [{ on: 'postgres-batch', load: pipelined(set) }],
  }),
  inTurn({
    id: 'incr-hot',
    title: 'INCR of one key through to PostgreSQL, against SET of many; 50 connections',
    group: 'writes',
    demands: [goal(1, 'set')],
    ours: {
      on: 'cluster',
      load: { ...set, command: 'incr', hotKey: 'hot' },
      label: 'INCR of one key',
    },
    peers: [{ on: 'cluster', load: set, id: 'set', label: 'SET of 100 000 keys' }],
  }),
  inTurn({
    id: 'set-memory',
    title: 'SET in the memory of three owners only, through one node, 50 connections',
    group: 'writes',
    demands: [],
    ours: { on: 'cluster', load: setMemory },
    peers: [{ on: 'redis', load: setMemory }],
  }),
  inTurn({
    id: 'set-memory-cluster',
    title:
      'SET in the memory of three owners only, against SET with WAIT 1; 50 connections to primaries',
    group: 'writes',
    demands: [goal(1, 'redis-cluster-wait')],
    ours: { on: 'cluster', load: own({ ...setMemory, route: 'primaries' }) },
    peers: [
      { on: 'redis-cluster-wait', load: own({ ...setMemory, route: 'primaries', waitFor: 1 }) },
    ],
  }),
  inTurn({
    id: 'set-slow-disk',
    title: 'SET through to PostgreSQL, 50 connections, slower disk',
    group: 'writes',
    demands: [],
    syncDelayMs: 1,
    ours: { on: 'cluster', load: set },
    peers: [{ on: 'write-through', load: set }],
  }),
  inTurn({
    id: 'set-200-slow-disk',
    title: 'SET through to PostgreSQL, 200 connections, slower disk',
    group: 'writes',
    demands: [],
    syncDelayMs: 1,
    ours: { on: 'cluster', load: set200 },
    peers: [{ on: 'write-through', load: set200 }],
  }),
];

const LATENCY: readonly Scenario[] = [
  atRate({
    id: 'latency',
    title: 'p99 of GET at 80 % of the peak, 50 connections',
    group: 'latency',
    metric: P99,
    figure: ({ p99Ms }) => p99Ms,
    demands: [limit(2, 'redis')],
    ours: { on: 'cluster', load: own(get) },
    peers: [{ on: 'redis', load: own(get) }],
  }),
  legacyMiss({
    id: 'legacy-miss',
    title: 'GET of one cold key by 1000 clients at once: calls to the legacy API',
    group: 'latency',
    demands: [always('=', 1)],
  }),
  atRate({
    id: 'latency-large',
    title: 'p99.9 of GET at 80 % of the peak with 2 million keys in memory, 50 connections',
    group: 'latency',
    metric: P999,
    figure: ({ p999Ms = Number.NaN }) => p999Ms,
    demands: [limit(2, 'redis-large')],
    ours: {
      on: 'cluster-large',
      load: own({ ...get, prefix: MEMORY_PREFIX, keySpace: LARGE_KEYS }),
    },
    peers: [
      { on: 'redis-large', load: own({ ...get, prefix: MEMORY_PREFIX, keySpace: LARGE_KEYS }) },
    ],
  }),
];

const REST: readonly Scenario[] = [
  memoryPerKey({
    id: 'memory',
    title: 'Memory of a key of 16 bytes with a value of 64, 1 million of them, on each of 3 nodes',
    group: 'memory',
    demands: [limit(1, 'redis')],
  }),
  longestPause({
    id: 'pause',
    title: 'Longest pause of the event loop, 5 million keys, SET by 50 connections',
    group: 'memory',
    demands: [always('≤', 20)],
  }),
  warmUpRate({
    id: 'warm-up',
    title: 'Warm-up from PostgreSQL while serving: 1 million rows, one node',
    group: 'start',
    demands: [absolute('≥', 200_000)],
  }),
  startNode({
    id: 'start-node',
    title: 'Start of a node to its first answer, its database running',
    group: 'start',
    demands: [absolute('≤', 1)],
  }),
  startFromPackage({
    id: 'start-npm',
    title: 'npm start in a fresh checkout with node_modules, until it is ready',
    group: 'start',
    demands: [absolute('≤', 5)],
  }),
];

/** Everything that a run without flags measures. */
export const SCENARIOS: readonly Scenario[] = [...READS, ...WRITES, ...LATENCY, ...REST];

/** `--scaling`: the same work for more and more nodes. */
export const SCALING_SCENARIOS: readonly Scenario[] = [
  scalingOf('idle', {
    id: 'scaling-idle',
    title: 'Processor time of a node without clients',
    group: 'scaling',
    demands: [],
  }),
  scalingOf('get', {
    id: 'scaling-get',
    title: 'GET at a modest rate, three owners, clients on all nodes',
    group: 'scaling',
    demands: [],
  }),
  scalingOf('set', {
    id: 'scaling-set',
    title: 'SET through to PostgreSQL at a modest rate, three owners, clients on all nodes',
    group: 'scaling',
    demands: [],
  }),
];
