/** What is measured, against whom, and what must at least come out. */
import type { Load } from './load.ts';
import { MEMORY_PREFIX } from './ringfence-cluster.ts';

export type PeerId = 'redis' | 'redis-always' | 'write-through';

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly load: Load;
  readonly peers: readonly PeerId[];
  /** Our throughput must be at least this many times the peer's. */
  readonly floor?: { readonly peer: PeerId; readonly ratio: number };
}

const PERSISTENT_PREFIX = 'key:';

export const SCENARIOS: readonly Scenario[] = [
  {
    id: 'get',
    title: 'GET, 50 connections',
    load: { command: 'get', prefix: PERSISTENT_PREFIX, connections: 50, pipeline: 1 },
    peers: ['redis'],
    floor: { peer: 'redis', ratio: 0.7 },
  },
  {
    id: 'get-pipelined',
    title: 'GET, 50 connections, 16 commands at once',
    load: { command: 'get', prefix: PERSISTENT_PREFIX, connections: 50, pipeline: 16 },
    peers: ['redis'],
  },
  {
    id: 'set',
    title: 'SET through to PostgreSQL, 50 connections',
    load: { command: 'set', prefix: PERSISTENT_PREFIX, connections: 50, pipeline: 1 },
    peers: ['write-through', 'redis-always'],
    floor: { peer: 'write-through', ratio: 1.5 },
  },
  {
    id: 'set-200',
    title: 'SET through to PostgreSQL, 200 connections',
    load: { command: 'set', prefix: PERSISTENT_PREFIX, connections: 200, pipeline: 1 },
    peers: ['write-through', 'redis-always'],
  },
  {
    id: 'set-memory',
    title: 'SET in the memory of three owners only, 50 connections',
    load: { command: 'set', prefix: MEMORY_PREFIX, connections: 50, pipeline: 1 },
    peers: ['redis'],
  },
];
