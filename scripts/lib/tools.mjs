// The programs that some tests run live against, where they are installed.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const TOOLS = [
  {
    name: 'redis-server',
    uses: 'conformance live against a real server (the recorded replies were checked instead)',
    get: 'apt-get install redis-server',
  },
  { name: 'redis-cli', uses: 'redis-cli against a node', get: 'apt-get install redis-tools' },
  {
    name: 'redis-benchmark',
    uses: 'redis-benchmark against a node',
    get: 'apt-get install redis-tools',
  },
  {
    name: 'psql',
    uses: 'the demonstrations of the README',
    get: 'apt-get install postgresql-client',
  },
  { name: 'curl', uses: 'the demonstrations of the README', get: 'apt-get install curl' },
];

/** Not every user and container has the right, so that its absence is told and never a failure. */
const NETNS = {
  optional: true,
  name: 'the right to make network namespaces, or ip and nft or iptables,',
  uses: 'chaos on hosts in network namespaces',
  get: 'as root; apt-get install iproute2 nftables',
};

/** What is missing: tools of the list that are not on the PATH, and what network namespaces need. */
export function missingTools(path = process.env.PATH ?? '') {
  const missing = TOOLS.filter(({ name }) => !onPath(name, path));
  return canUseNetns(path) ? missing : [...missing, NETNS];
}

let netnsWorks;

/** True where hosts in network namespaces can be made: asked by making one. */
export function canUseNetns(path = process.env.PATH ?? '') {
  if (process.getuid?.() !== 0 || !onPath('ip', path)) return false;
  if (!onPath('nft', path) && !onPath('iptables-restore', path)) return false;
  netnsWorks ??= tryNetns();
  return netnsWorks;
}

/** A container's root may lack the right. */
function tryNetns() {
  const name = `ringfence-probe-${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return false;
  return spawnSync('ip', ['netns', 'delete', name]).status === 0;
}

function onPath(name, path) {
  return path.split(delimiter).some((dir) => runnable(join(dir, name)));
}

function runnable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us: both mean that the tests cannot use it.
    return false;
  }
}

/** Lines for people: what did not run, and how to get it. */
export function missingToolsReport(missing) {
  return missing.map(({ name, uses, get }) => ` Not run  ${uses}: ${name} is missing (${get})`);
}
