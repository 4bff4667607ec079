/**
 * What COMMAND DOCS tells about commands beyond the table: arguments (notation in `syntax.ts`), what
 * versions of Redis have changed, and what replaces them. Names, types and versions are Redis 7.0's,
 * since tools compare them; a command that only this program has is described in the same way.
 */
import { type Argument, parseSyntax } from './syntax.ts';

export interface Documentation {
  readonly arguments: readonly Argument[];
  readonly history: History;
  readonly deprecated: Deprecation | null;
}

type History = readonly (readonly [version: string, change: string])[];

interface Deprecation {
  readonly since: string;
  readonly replacedBy: string;
}

const KEY = 'key:key';
const KEYS = 'key:key...';
const PAIRS = '{key_value=key:key value}...';
const WITH_CONDITION = '[(condition=NX|XX|GT|LT)@7.0.0]';
const FLUSH = '[(async=ASYNC@4.0.0|SYNC@6.2.0)]';
const SWITCH = '(enabled=ON|OFF)';
const SLOT_RANGES = '{start-slot_end-slot=start-slot:integer end-slot:integer}...';

/** Commands that are not here take no arguments. */
const SYNTAX: Readonly<Record<string, string>> = {
  APPEND: `${KEY} value`,
  AUTH: '[username@6.0.0] password',
  'CLIENT|KILL':
    '(filter=ip:port:string!2.8.12|(new-format=[ID client-id:integer@2.8.12]' +
    '|[TYPE (normal_master_slave_pubsub=NORMAL|MASTER@3.2.0|SLAVE|REPLICA@5.0.0|PUBSUB)@2.8.12]' +
    '|[USER username]|[ADDR ip:port:string]|[LADDR ip:port:string@6.2.0]|[SKIPME yes/no])...)',
  'CLIENT|LIST':
    '[TYPE (normal_master_replica_pubsub=NORMAL|MASTER|REPLICA|PUBSUB)@5.0.0]' +
    '[ID {id=client-id:integer...}@6.2.0]',
  'CLIENT|NO-EVICT': SWITCH,
  'CLIENT|NO-TOUCH': SWITCH,
  'CLIENT|REPLY': '(on_off_skip=ON|OFF|SKIP)',
  'CLIENT|SETINFO': '(attr=LIB-NAME libname|LIB-VER libver)',
  'CLIENT|SETNAME': 'connection-name',
  'CLUSTER|ADDSLOTS': 'slot:integer...',
  'CLUSTER|ADDSLOTSRANGE': SLOT_RANGES,
  'CLUSTER|COUNT-FAILURE-REPORTS': 'node-id',
  'CLUSTER|COUNTKEYSINSLOT': 'slot:integer',
  'CLUSTER|DELSLOTS': 'slot:integer...',
  'CLUSTER|DELSLOTSRANGE': SLOT_RANGES,
  'CLUSTER|FAILOVER': '[(options=FORCE|TAKEOVER)]',
  'CLUSTER|FORGET': 'node-id',
  'CLUSTER|GETKEYSINSLOT': 'slot:integer count:integer',
  'CLUSTER|KEYSLOT': 'key',
  'CLUSTER|LEAVE': '[node-id]',
  'CLUSTER|MEET': 'ip port:integer [cluster_bus_port:integer@4.0.0]',
  'CLUSTER|REPLICAS': 'node-id',
  'CLUSTER|REPLICATE': 'node-id',
  'CLUSTER|RESET': '[(hard_soft=HARD|SOFT)]',
  'CLUSTER|SET-CONFIG-EPOCH': 'config-epoch:integer',
  'CLUSTER|SET-LEAD': 'node-id',
  'CLUSTER|SET-REPLICAS': 'count:integer',
  'CLUSTER|SET-WEIGHT': 'node-id tokens:integer',
  'CLUSTER|SETSLOT':
    'slot:integer (subcommand=IMPORTING node-id|MIGRATING node-id|NODE node-id|STABLE)',
  'CLUSTER|SLAVES': 'node-id',
  'CLUSTER|VIEWS': '[count:integer]',
  'COMMAND|DOCS': '[command-name...]',
  'COMMAND|INFO': '[command-name...]',
  'COMMAND|LIST':
    '[FILTERBY (filterby=MODULE module-name|ACLCAT category|PATTERN pattern:pattern)]',
  'CONFIG|GET': '{parameter=parameter}...',
  'CONFIG|SET': '{parameter_value=parameter value}...',
  COPY: 'source:key destination:key [DB destination-db:integer] [REPLACE]',
  DECR: KEY,
  DECRBY: `${KEY} decrement:integer`,
  DEL: KEYS,
  ECHO: 'message',
  EXISTS: KEYS,
  EXPIRE: `${KEY} seconds:integer ${WITH_CONDITION}`,
  EXPIREAT: `${KEY} unix-time-seconds:unix-time ${WITH_CONDITION}`,
  EXPIRETIME: KEY,
  FLUSHALL: FLUSH,
  FLUSHDB: FLUSH,
  GET: KEY,
  GETDEL: KEY,
  GETEX:
    `${KEY} [(expiration=EX seconds:integer|PX milliseconds:integer` +
    '|EXAT unix-time-seconds:unix-time|PXAT unix-time-milliseconds:unix-time|PERSIST)]',
  GETRANGE: `${KEY} start:integer end:integer`,
  GETSET: `${KEY} value`,
  HELLO:
    '[{arguments=protover:integer [AUTH {username_password=username password}] [SETNAME clientname]}]',
  INCR: KEY,
  INCRBY: `${KEY} increment:integer`,
  INCRBYFLOAT: `${KEY} increment:double`,
  INFO: '[section...]',
  KEYS: 'pattern:pattern',
  LCS: 'key1:key key2:key [LEN] [IDX] [MINMATCHLEN len:integer] [WITHMATCHLEN]',
  MGET: KEYS,
  MOVE: `${KEY} db:integer`,
  MSET: PAIRS,
  MSETNX: PAIRS,
  'OBJECT|ENCODING': KEY,
  'OBJECT|FREQ': KEY,
  'OBJECT|IDLETIME': KEY,
  'OBJECT|REFCOUNT': KEY,
  PERSIST: KEY,
  PEXPIRE: `${KEY} milliseconds:integer ${WITH_CONDITION}`,
  PEXPIREAT: `${KEY} unix-time-milliseconds:unix-time ${WITH_CONDITION}`,
  PEXPIRETIME: KEY,
  PING: '[message]',
  PSETEX: `${KEY} milliseconds:integer value`,
  PTTL: KEY,
  RENAME: `${KEY} newkey:key`,
  RENAMENX: `${KEY} newkey:key`,
  SCAN: 'cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type@6.0.0]',
  SELECT: 'index:integer',
  SET:
    `${KEY} value [(condition=NX|XX)@2.6.12] [GET@6.2.0] [(expiration=EX seconds:integer@2.6.12` +
    '|PX milliseconds:integer@2.6.12|EXAT unix-time-seconds:unix-time@6.2.0' +
    '|PXAT unix-time-milliseconds:unix-time@6.2.0|KEEPTTL@6.0.0)]',
  SETEX: `${KEY} seconds:integer value`,
  SETNX: `${KEY} value`,
  SETRANGE: `${KEY} offset:integer value`,
  STRLEN: KEY,
  SUBSTR: `${KEY} start:integer end:integer`,
  TOUCH: KEYS,
  TTL: KEY,
  TYPE: KEY,
  UNLINK: KEYS,
  WAIT: 'numreplicas:integer timeout:integer',
};

const CONDITIONS: History = [['7.0.0', 'New options: `NX`, `XX`, `GT`, `LT`.']];
const FLUSH_MODES: History = [
  ['4.0.0', 'New option: `ASYNC`.'],
  ['6.2.0', 'New option: `SYNC`.'],
];
const ABSENT_TTL: History = [['2.8.0', 'A key that does not exist is told by the reply -2.']];

const HISTORY: Readonly<Record<string, History>> = {
  AUTH: [['6.0.0', 'A user can be named before the password.']],
  'CLIENT|KILL': [
    ['2.8.12', 'Filters by name and value.'],
    ['2.8.12', 'New filter: `ID`.'],
    ['3.2.0', '`TYPE` knows `master`.'],
    ['5.0.0', '`TYPE` knows `replica`; `slave` means the same.'],
    ['6.2.0', 'New filter: `LADDR`.'],
  ],
  'CLIENT|LIST': [
    ['2.8.12', 'New field: `id`.'],
    ['5.0.0', 'New filter: `TYPE`.'],
    ['6.0.0', 'New field: `user`.'],
    ['6.2.0', 'New fields: `argv-mem`, `tot-mem`, `laddr`, `redir`; new filter: `ID`.'],
    ['7.0.0', 'New fields: `resp`, `multi-mem`, `rbs`, `rbp`.'],
    ['7.0.3', 'New field: `ssub`.'],
  ],
  'CLUSTER|MEET': [['4.0.0', 'New argument: `cluster_bus_port`.']],
  'CLUSTER|SLOTS': [
    ['4.0.0', 'Nodes come with their ids.'],
    ['7.0.0', 'Nodes come with more about their addresses.'],
  ],
  'COMMAND|INFO': [['7.0.0', 'Without names it describes every command.']],
  'CONFIG|GET': [['7.0.0', 'Takes several patterns.']],
  'CONFIG|SET': [['7.0.0', 'Sets several options at once.']],
  EXISTS: [['3.0.3', 'Takes several keys.']],
  EXPIRE: CONDITIONS,
  EXPIREAT: CONDITIONS,
  FLUSHALL: FLUSH_MODES,
  FLUSHDB: FLUSH_MODES,
  HELLO: [['6.2.0', 'Without `protover` it only describes the connection.']],
  INFO: [['7.0.0', 'Takes several sections.']],
  PEXPIRE: CONDITIONS,
  PEXPIREAT: CONDITIONS,
  PTTL: ABSENT_TTL,
  RENAMENX: [['3.2.0', 'Both names may be the same.']],
  SCAN: [['6.0.0', 'New option: `TYPE`.']],
  SET: [
    ['2.6.12', 'New options: `EX`, `PX`, `NX`, `XX`.'],
    ['6.0.0', 'New option: `KEEPTTL`.'],
    ['6.2.0', 'New options: `GET`, `EXAT`, `PXAT`.'],
    ['7.0.0', '`NX` and `GET` go together.'],
  ],
  TTL: ABSENT_TTL,
};

const DEPRECATED: Readonly<Record<string, Deprecation>> = {
  'CLUSTER|SLAVES': { since: '5.0.0', replacedBy: '`CLUSTER REPLICAS`' },
  'CLUSTER|SLOTS': { since: '7.0.0', replacedBy: '`CLUSTER SHARDS`' },
  GETSET: { since: '6.2.0', replacedBy: '`SET` with the option `GET`' },
  SUBSTR: { since: '2.0.0', replacedBy: '`GETRANGE`' },
};

/** Of a command (`GET`) or subcommand (`CONFIG|GET`). */
export function documentationOf(name: string): Documentation {
  return {
    arguments: parseSyntax(SYNTAX[name] ?? ''),
    history: HISTORY[name] ?? [],
    deprecated: DEPRECATED[name] ?? null,
  };
}

/** Every name that something is said about here, for the test that each of them is a command. */
export const DOCUMENTED: readonly string[] = [SYNTAX, HISTORY, DEPRECATED].flatMap(Object.keys);
