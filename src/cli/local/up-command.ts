/** `ringfence up`: a whole cluster on this machine, until Ctrl+C. */
import { flagHelp } from '../flags.ts';
import { type CliCommand, EXIT } from '../program.ts';
import { LocalCluster } from './local-cluster.ts';
import { planUp, UP_FLAGS } from './plan.ts';

/** npm and the terminal both pass one Ctrl+C on: what comes within this time is the same one. */
const SAME_SIGNAL_MS = 1000;

export const upCommand: CliCommand = {
  name: 'up',
  summary: 'run a cluster on this machine: nodes, PostgreSQL, sample legacy API',
  help: () =>
    [
      'Usage: ringfence up [flags]',
      '',
      'Runs a cluster on this machine until Ctrl+C. Data and nodes are kept for the next time.',
      '',
      flagHelp(UP_FLAGS),
      '',
      'Every option of a node (docs/configuration.md) is a flag too, for all nodes: --maxmemory 1gb.',
    ].join('\n'),
  run: (argv) => runUp(argv),
};

/** `nodeProgram` as for LocalCluster. */
export async function runUp(
  argv: readonly string[],
  nodeProgram?: readonly string[],
): Promise<number> {
  const plan = planUp(argv);
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const startedAtMs = Date.now();
  process.title = 'ringfence up';
  const cluster = new LocalCluster(plan, say, nodeProgram);
  const stopRequested = watchSignals(cluster, say);
  try {
    const started = cluster.start().then(() => 'started' as const);
    // When the stop wins, what start() was waiting for is gone; its complaint is of no interest.
    const first = await Promise.race([started, stopRequested]);
    if (first === 'started') {
      const seconds = ((Date.now() - startedAtMs) / 1000).toFixed(1);
      say(
        `ready in ${seconds} s: try redis-cli -p ${cluster.firstPort} SET a 1; Ctrl+C stops all of it`,
      );
      await stopRequested;
    } else {
      started.catch(() => undefined);
    }
    return EXIT.ok;
  } finally {
    await cluster.stop();
  }
}

/** Resolves at the first signal; a second one, clearly later, kills everything at once. */
function watchSignals(cluster: LocalCluster, say: (line: string) => void): Promise<'stop'> {
  return new Promise((resolve) => {
    let firstAtMs: number | undefined;
    const onSignal = (signal: string): void => {
      if (firstAtMs === undefined) {
        firstAtMs = Date.now();
        say(`stopping (${signal}); once more kills everything at once`);
        resolve('stop');
      } else if (Date.now() - firstAtMs > SAME_SIGNAL_MS) {
        cluster.kill();
      }
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, onSignal);
  });
}
