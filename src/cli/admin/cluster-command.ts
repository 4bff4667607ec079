/** `ringfence cluster`: looks at a running cluster, and grows, shrinks and changes it. */
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterStatus } from './types.ts';
import type { ClientAddress } from '../client/connection.ts';
import {
  type FlagSpec,
  flagHelp,
  integerFlag,
  type ParsedFlags,
  parseFlags,
  UsageError,
} from '../flags.ts';
import { askUp, runningUp } from '../local/requests.ts';
import { type CliCommand, EXIT, PlainError } from '../program.ts';
import { Admin } from './admin.ts';
import { formatStatus, formatViews, progressLine } from './format.ts';

const FLAGS: readonly FlagSpec[] = [
  { name: 'host', value: 'HOST', help: 'any node of the cluster (127.0.0.1)' },
  { name: 'port', value: 'PORT', help: 'its port for clients (7001)' },
  { name: 'password', value: 'TEXT', help: 'password (RINGFENCE_CLI_PASSWORD)' },
  { name: 'json', help: 'print JSON: the status, or the views' },
  { name: 'count', value: 'N', help: 'views: how many, newest first (10)' },
  { name: 'no-wait', help: 'do not wait for the hand-over, which goes on' },
  { name: 'timeout', value: 'SECONDS', help: 'longest wait for the hand-over (3600)' },
  { name: 'dir', value: 'DIR', help: 'folder of a local cluster: add, remove (.ringfence)' },
];
const COUNT_MAX = 1000;
const REPLICAS_MAX = 16;
const TOKENS_MAX = 4096;
const TIMEOUT_MAX_S = 7 * 24 * 3600;
const POLL_MS = 250;
const SAY_MS = 2000;

export const clusterCommand: CliCommand = {
  name: 'cluster',
  summary: 'look at a running cluster; add and remove nodes, change replicas and weights',
  help: () =>
    [
      'Usage: ringfence cluster <command> [flags]',
      '',
      '  status          members, weights, replicas, hand-overs; exit code 1 when something is wrong',
      '  views           the latest views: who belonged to the cluster, and when',
      '  add             start one more node of the local cluster that ringfence up runs here;',
      '                  elsewhere start it with ringfence node and the same --store',
      '  remove NODE     planned leave: copies what the node has to the others first',
      '  replicas N      nodes that hold each key in memory',
      '  lead NODE       the node that orders all writes of the keys that it holds; none: the ring spreads that',
      '  weight NODE N   points of a node on the ring (128 by default): its share of the slots',
      '',
      flagHelp(FLAGS),
    ].join('\n'),
  run: runCluster,
};

interface Options {
  readonly address: ClientAddress;
  readonly password: string | undefined;
  readonly json: boolean;
  readonly count: number;
  readonly wait: boolean;
  readonly timeoutMs: number;
  readonly dir: string;
}

/** What is done with the words behind the command's name; the number of words is checked before. */
interface Action {
  readonly words: number;
  run(options: Options, words: readonly string[]): Promise<number>;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  status: { words: 0, run: (options) => withAdmin(options, (admin) => showStatus(admin, options)) },
  views: { words: 0, run: (options) => withAdmin(options, (admin) => showViews(admin, options)) },
  add: { words: 0, run: add },
  remove: { words: 1, run: (options, [node = '']) => remove(options, node) },
  replicas: {
    words: 1,
    run: (options, [count = '']) => {
      wholeNumber('N', count, REPLICAS_MAX);
      return change(options, ['SET-REPLICAS', count], `${count} replicas`);
    },
  },
  lead: {
    words: 1,
    run: (options, [node = '']) =>
      change(options, ['SET-LEAD', node], /^none$/i.test(node) ? 'no lead' : `${node} is the lead`),
  },
  weight: {
    words: 2,
    run: (options, [node = '', tokens = '']) => {
      wholeNumber('N', tokens, TOKENS_MAX);
      return change(options, ['SET-WEIGHT', node, tokens], `${node} has weight ${tokens}`);
    },
  },
};

async function runCluster(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(argv, FLAGS);
  const [name, ...words] = flags.words;
  if (flags.unknown[0] !== undefined)
    throw new UsageError(`there is no flag '${flags.unknown[0]}'`);
  if (name === undefined)
    throw new UsageError(`a command is missing: ${Object.keys(ACTIONS).join(', ')}`);
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) throw new UsageError(`there is no command '${name}'`);
  if (words.length !== action.words)
    throw new UsageError(`${name} takes ${action.words} words, not ${words.length}`);
  return action.run(optionsOf(flags), words);
}

function optionsOf(flags: ParsedFlags): Options {
  const port = integerFlag(flags, 'port', { min: 1, max: 65_535, fallback: 7001 });
  return {
    address: { host: flags.values.get('host') ?? '127.0.0.1', port },
    password: flags.values.get('password') ?? process.env.RINGFENCE_CLI_PASSWORD,
    json: flags.values.has('json'),
    count: integerFlag(flags, 'count', { min: 1, max: COUNT_MAX, fallback: 10 }),
    wait: !flags.values.has('no-wait'),
    timeoutMs: 1000 * integerFlag(flags, 'timeout', { min: 1, max: TIMEOUT_MAX_S, fallback: 3600 }),
    dir: resolve(flags.values.get('dir') ?? '.ringfence'),
  };
}

function wholeNumber(what: string, text: string, max: number): void {
  if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > max)
    throw new UsageError(`${what} must be a whole number from 1 to ${max}, not '${text}'`);
}

async function withAdmin(
  { address, password }: Options,
  work: (admin: Admin) => Promise<number>,
): Promise<number> {
  const admin = await Admin.open(address, password);
  try {
    return await work(admin);
  } finally {
    admin.close();
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

// -- looking ----------------------------------------------------------------------------------------

async function showStatus(admin: Admin, { json }: Options): Promise<number> {
  const statuses = await admin.statuses();
  print(json ? JSON.stringify(statuses, null, 2) : formatStatus(statuses));
  const isWell = ({ problems, nodes }: ClusterStatus): boolean =>
    problems.length === 0 && nodes.every(({ connected }) => connected);
  return statuses.every(isWell) ? EXIT.ok : EXIT.failed;
}

async function showViews(admin: Admin, { json, count }: Options): Promise<number> {
  const views = await admin.views(count);
  print(json ? JSON.stringify(views, null, 2) : formatViews(views));
  return EXIT.ok;
}

// -- changing ---------------------------------------------------------------------------------------

/** `words`: the CLUSTER subcommand that asks for it. `done`: what is then true. */
function change(options: Options, words: readonly string[], done: string): Promise<number> {
  return withAdmin(options, async (admin) => {
    await admin.send('CLUSTER', ...words);
    return settle(admin, options, done);
  });
}

/** Waits until nothing moves any more, and says how far it is. */
async function settle(admin: Admin, options: Options, done: string): Promise<number> {
  const { wait, json, timeoutMs } = options;
  const deadline = Date.now() + timeoutMs;
  let sayAtMs = Date.now() + SAY_MS;
  let statuses = await admin.statuses();
  while (wait && statuses[0]?.moving === true) {
    if (Date.now() > deadline)
      throw new PlainError(
        `not handed over within ${timeoutMs / 1000} s; it goes on: see ringfence cluster status`,
      );
    const line = progressLine(statuses);
    if (!json && line !== undefined && Date.now() > sayAtMs) {
      print(`handing over: ${line}`);
      sayAtMs = Date.now() + SAY_MS;
    }
    await delay(POLL_MS);
    statuses = await admin.statuses();
  }
  if (json) print(JSON.stringify(statuses, null, 2));
  else print(wait ? done : `${done}: under way, see ringfence cluster status`);
  return EXIT.ok;
}

async function add(options: Options): Promise<number> {
  const node = await askUp(options.dir, { kind: 'add' });
  if (node === undefined) throw new PlainError('the local cluster did not say what it started');
  const address = { host: '127.0.0.1', port: node.port };
  return withAdmin({ ...options, address }, (admin) =>
    settle(admin, options, `${node.name} has joined (redis://127.0.0.1:${node.port})`),
  );
}

async function remove(options: Options, node: string): Promise<number> {
  const { nodes } = await withStatus(options);
  const found = nodes.find(({ name, id }) => name === node || id === node);
  const name = found?.name ?? node;
  const done = `${name} holds nothing any more; its process may be stopped`;
  const code = await change(options, ['LEAVE', node], done);
  if (!options.wait || found === undefined || runningUp(options.dir) === undefined) return code;
  const stopped = await askUp(options.dir, { kind: 'remove', node: name, port: found.port });
  if (stopped !== undefined && !options.json) print(`${name} is stopped`);
  return code;
}

async function withStatus({ address, password }: Options): Promise<ClusterStatus> {
  const admin = await Admin.open(address, password);
  try {
    return await admin.status();
  } finally {
    admin.close();
  }
}
