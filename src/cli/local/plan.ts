/** From the flags of `ringfence up` to what will be started: ports, folders, addresses. */
import { resolve } from 'node:path';
import { findOption } from '../../config/options.ts';
import { type FlagSpec, integerFlag, type ParsedFlags, parseFlags, UsageError } from '../flags.ts';
import { PlainError } from '../program.ts';
import { nodeName } from './node-list.ts';

const PORT_DEFAULT = 7001;
const HTTP_PORT_DEFAULT = 8081;
const LINK_OFFSET = 10_000;
const POSTGRES_PORT_DEFAULT = 55_432;
const LEGACY_PORT_DEFAULT = 8001;
const NODES_DEFAULT = 3;
const NODES_MAX = 64;
const PORT_END = 65_536;

export const UP_FLAGS: readonly FlagSpec[] = [
  { name: 'nodes', value: 'N', help: 'number of nodes (as the cluster was left; 3 at first)' },
  { name: 'port', value: 'PORT', help: 'Redis protocol of node 1; the others follow (7001)' },
  { name: 'link-port', value: 'PORT', help: 'link of node 1; the others follow (port + 10000)' },
  { name: 'http-port', value: 'PORT', help: 'HTTP of node 1; the others follow (8081)' },
  { name: 'store', value: 'URL', help: 'a PostgreSQL database of your own (RINGFENCE_STORE)' },
  { name: 'postgres-port', value: 'PORT', help: 'port of the embedded PostgreSQL (55432)' },
  { name: 'legacy', value: 'URL', help: 'URL with {key} of a legacy API of your own, or none' },
  { name: 'legacy-port', value: 'PORT', help: 'port of the sample legacy API (8001)' },
  { name: 'config', value: 'FILE', help: 'options and policies (ringfence.config.json)' },
  { name: 'dir', value: 'DIR', help: 'folder for data, logs and process ids (.ringfence)' },
  { name: 'fresh', help: 'throw the data of earlier runs away' },
  { name: 'replicas', value: 'N', help: 'nodes that hold each key in memory (3)' },
  { name: 'no-restart', help: 'leave down what dies' },
];

export interface NodePlan {
  readonly name: string;
  readonly port: number;
  readonly linkPort: number;
  readonly httpPort: number;
}

/** A port that may move when it is taken, because nobody asked for exactly this one. */
export interface FlexiblePort {
  readonly port: number;
  readonly movable: boolean;
  readonly flag: string;
}

export interface UpPlan {
  readonly dir: string;
  readonly configFile: string;
  readonly fresh: boolean;
  readonly restart: boolean;
  readonly replicas: number;
  /** It was asked for: a cluster that has another number is changed. */
  readonly replicasGiven: boolean;
  /** Undefined: as many as there were, or three. */
  readonly nodes: number | undefined;
  readonly port: number;
  readonly linkPort: number;
  readonly http: FlexiblePort;
  /** A URL, or the embedded server on this port. */
  readonly store: string | FlexiblePort;
  /** A URL template, nothing, or the sample API on this port. */
  readonly legacy: string | undefined | FlexiblePort;
  /** Options for the nodes, as they were given. */
  readonly nodeFlags: readonly string[];
}

/** Throws a UsageError that names the flag at fault. */
export function planUp(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  cwd: string = process.cwd(),
): UpPlan {
  const flags = parseFlags(argv, UP_FLAGS);
  checkExtras(flags);
  const range = { min: 1, max: NODES_MAX, fallback: NODES_DEFAULT };
  const nodes = integerFlag(flags, 'nodes', range);
  const portOf = (name: string, fallback: number, count = 1): number =>
    integerFlag(flags, name, { min: 1, max: PORT_END - count, fallback });
  const port = portOf('port', PORT_DEFAULT, nodes);
  // A cluster with ports of its own is a second one beside the first: what it was not told moves.
  const second = port !== PORT_DEFAULT;
  const flexible = (flag: string, fallback: number, count = 1): FlexiblePort => ({
    port: portOf(flag, fallback, count),
    movable: second && !flags.values.has(flag),
    flag,
  });
  const linkPort = portOf('link-port', port + LINK_OFFSET, nodes);
  if (linkPort + nodes > PORT_END) {
    throw new UsageError(`--port ${port} leaves no room for the links: give --link-port too`);
  }
  const store = flags.values.get('store') ?? env.RINGFENCE_STORE ?? '';
  return {
    dir: resolve(cwd, flags.values.get('dir') ?? '.ringfence'),
    configFile: resolve(cwd, flags.values.get('config') ?? 'ringfence.config.json'),
    fresh: flags.values.has('fresh'),
    restart: !flags.values.has('no-restart'),
    replicas: integerFlag(flags, 'replicas', { min: 1, max: 16, fallback: 3 }),
    replicasGiven: flags.values.has('replicas'),
    nodes: flags.values.has('nodes') ? nodes : undefined,
    port,
    linkPort,
    http: flexible('http-port', HTTP_PORT_DEFAULT, nodes),
    store: store === '' ? flexible('postgres-port', POSTGRES_PORT_DEFAULT) : store,
    legacy: legacyPlan(flags.values.get('legacy'), flexible('legacy-port', LEGACY_PORT_DEFAULT)),
    nodeFlags: flags.unknown,
  };
}

function checkExtras({ unknown, words }: ParsedFlags): void {
  const word = words[0];
  if (word !== undefined) throw new UsageError(`not understood: '${word}'`);
  for (const text of unknown) {
    if (!text.startsWith('--')) continue;
    const name = text.slice(2).split('=')[0] ?? '';
    if (findOption(name) === undefined) {
      throw new UsageError(`there is no flag and no option '${text}'`);
    }
  }
}

function legacyPlan(given: string | undefined, sample: FlexiblePort): UpPlan['legacy'] {
  if (given === undefined) return sample;
  if (given === 'none') return undefined;
  if (!/^https?:\/\/[^/]+\S*\{key\}/.test(given)) {
    throw new UsageError(`--legacy must be none or an http URL with {key} in it, not '${given}'`);
  }
  return given;
}

/**
 * Numbers of the nodes to be started: those that were asked for, else those that there were (`left`), else
 * the first three.
 */
export function nodeNumbers(
  plan: Pick<UpPlan, 'nodes'>,
  left: readonly number[] | undefined,
): readonly number[] {
  if (plan.nodes === undefined && left !== undefined) return left;
  return Array.from({ length: plan.nodes ?? NODES_DEFAULT }, (_, i) => i + 1);
}

/** Throws a PlainError when there is no port for the last of them. */
export function planNodes(
  plan: Pick<UpPlan, 'port' | 'linkPort'>,
  numbers: readonly number[],
  httpPort: number,
): NodePlan[] {
  return numbers.map((number) => {
    const at = number - 1;
    const node = {
      name: nodeName(number),
      port: plan.port + at,
      linkPort: plan.linkPort + at,
      httpPort: httpPort + at,
    };
    if (Math.max(node.port, node.linkPort, node.httpPort) < PORT_END) return node;
    throw new PlainError(
      `there is no port left for ${node.name}: begin with lower ones, or say --nodes`,
    );
  });
}
