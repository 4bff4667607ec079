/**
 * What COMMAND tells about commands beyond what running them needs: how each key is used, and the
 * hints for clients ("tips"). The words are Redis's own.
 */
import type { CommandGroup, KeyPositions } from './command.ts';

/**
 * How a command uses its keys, one text for each key specification: RO, RW, OW or RM, then what
 * happens to the value. Where two texts stand, the command's keys are two specifications of one key.
 */
const KEY_ACCESS: Readonly<Record<string, readonly string[]>> = {
  APPEND: ['RW insert'],
  COPY: ['RO access', 'OW update'],
  DECR: ['RW access update'],
  DECRBY: ['RW access update'],
  DEL: ['RM delete'],
  EXISTS: ['RO'],
  EXPIRE: ['RW update'],
  EXPIREAT: ['RW update'],
  GETDEL: ['RW access delete'],
  GETEX: ['RW access update'],
  GETSET: ['RW access update'],
  INCR: ['RW access update'],
  INCRBY: ['RW access update'],
  INCRBYFLOAT: ['RW access update'],
  MOVE: ['RW access update'],
  MSET: ['OW update'],
  MSETNX: ['OW insert'],
  'OBJECT|ENCODING': ['RO'],
  'OBJECT|FREQ': ['RO'],
  'OBJECT|IDLETIME': ['RO'],
  'OBJECT|REFCOUNT': ['RO'],
  PERSIST: ['RW update'],
  PEXPIRE: ['RW update'],
  PEXPIREAT: ['RW update'],
  PSETEX: ['OW update'],
  RENAME: ['RW access delete', 'OW update'],
  RENAMENX: ['RW access delete', 'OW insert'],
  RESTORE: ['OW update'],
  SET: ['RW access update variable_flags'],
  SETEX: ['OW update'],
  SETNX: ['OW insert'],
  SETRANGE: ['RW update'],
  STRLEN: ['RO'],
  TOUCH: ['RO'],
  TYPE: ['RO'],
  UNLINK: ['RM delete'],
};

/** One key specification: consecutive keys used in the same way. */
export interface KeySpec {
  readonly flags: readonly string[];
  /** Position of the first key. */
  readonly index: number;
  /** The last key, counted from the first one; negative: from the end of the arguments. */
  readonly lastKey: number;
  readonly step: number;
}

/** The key specifications of a command (`GET`) or subcommand (`OBJECT|FREQ`). */
export function keySpecsOf(command: {
  readonly name: string;
  readonly keys?: KeyPositions | null;
}): readonly KeySpec[] {
  const { keys } = command;
  if (keys === null || keys === undefined) return [];
  const access = (KEY_ACCESS[command.name] ?? ['RO access']).map((text) => text.split(' '));
  const { first, last, step } = keys;
  if (access.length === 1) {
    const lastKey = last < 0 ? last : last - first;
    return access.map((flags) => ({ flags, index: first, lastKey, step }));
  }
  return access.map((flags, i) => ({ flags, index: first + i * step, lastKey: 0, step: 1 }));
}

const RANDOM = 'nondeterministic_output';
const RANDOM_ORDER = 'nondeterministic_output_order';
const ALL_SHARDS = 'request_policy:all_shards';
const MULTI_SHARD = 'request_policy:multi_shard';
const SUM = 'response_policy:agg_sum';
const MIN = 'response_policy:agg_min';
const ALL_SUCCEEDED = 'response_policy:all_succeeded';

/**
 * `request_policy` and `response_policy` tell clients how to spread a command over a cluster by
 * themselves. They are as in Redis where that comes out right here. Where a node answers for the whole
 * cluster (DBSIZE, KEYS, SCAN, FLUSHALL), a client must not ask several and add up: no policy.
 */
const TIPS: Readonly<Record<string, readonly string[]>> = {
  'CLIENT|INFO': [RANDOM],
  'CLIENT|LIST': [RANDOM],
  'CLUSTER|GETKEYSINSLOT': [RANDOM],
  'CLUSTER|INFO': [RANDOM],
  'CLUSTER|NODES': [RANDOM],
  'CLUSTER|SHARDS': [RANDOM],
  'CLUSTER|SLOTS': [RANDOM],
  COMMAND: [RANDOM_ORDER],
  'COMMAND|DOCS': [RANDOM_ORDER],
  'COMMAND|INFO': [RANDOM_ORDER],
  'COMMAND|LIST': [RANDOM_ORDER],
  'CONFIG|SET': ['request_policy:all_nodes', ALL_SUCCEEDED],
  DEL: [MULTI_SHARD, SUM],
  DUMP: [RANDOM],
  EXISTS: [MULTI_SHARD, SUM],
  INFO: [RANDOM, ALL_SHARDS, 'response_policy:special'],
  KEYS: [RANDOM_ORDER],
  LASTSAVE: [RANDOM],
  MGET: [MULTI_SHARD],
  MSET: [MULTI_SHARD, ALL_SUCCEEDED],
  MSETNX: [MULTI_SHARD, MIN],
  'OBJECT|ENCODING': [RANDOM],
  'OBJECT|FREQ': [RANDOM],
  'OBJECT|IDLETIME': [RANDOM],
  'OBJECT|REFCOUNT': [RANDOM],
  PING: [ALL_SHARDS, ALL_SUCCEEDED],
  PTTL: [RANDOM],
  RANDOMKEY: [RANDOM],
  SCAN: [RANDOM],
  TIME: [RANDOM],
  TOUCH: [MULTI_SHARD, SUM],
  TTL: [RANDOM],
  UNLINK: [MULTI_SHARD, SUM],
  WAIT: [ALL_SHARDS, MIN],
};

export function tipsOf(name: string): readonly string[] {
  return TIPS[name] ?? [];
}

/** Redis's categories in the order in which it lists them. */
export const CATEGORIES = [
  ...['keyspace', 'read', 'write', 'set', 'sortedset', 'list', 'hash', 'string', 'bitmap'],
  ...['hyperloglog', 'geo', 'stream', 'pubsub', 'admin', 'fast', 'slow', 'blocking', 'dangerous'],
  ...['connection', 'transaction', 'scripting'],
];

interface Categorised {
  readonly flags: readonly string[];
  readonly categories?: readonly string[];
}

/** The categories of a command or subcommand of `group`, without the `@`: from its flags, group and own list. */
export function categoriesOf(command: Categorised, group: CommandGroup): readonly string[] {
  const has = (flag: string): boolean => command.flags.includes(flag);
  const found = new Set<string>(command.categories);
  if (has('write')) found.add('write');
  if (has('readonly')) found.add('read');
  if (has('admin')) found.add('admin').add('dangerous');
  if (has('pubsub')) found.add('pubsub');
  if (has('blocking')) found.add('blocking');
  found.add(has('fast') ? 'fast' : 'slow');
  if (group === 'string') found.add('string');
  if (group === 'generic' && (has('write') || has('readonly'))) found.add('keyspace');
  // Containers have no flags, and only their subcommands belong to the group's category.
  if (group === 'connection' && command.flags.length > 0) found.add('connection');
  return CATEGORIES.filter((category) => found.has(category));
}
