/** `ringfence node`: one node of a cluster, for containers and production. */
import type { Config } from '../config/load.ts';
import { loadNodeConfig, optionHelp } from './node-config.ts';
import { onStopRequest } from './parent.ts';
import { type CliCommand, EXIT, EXTENSION, messageOf, PlainError, version } from './program.ts';

/** What `src/main.ts` gives: loaded only when a node is run, so that other commands start quickly. */
interface NodeModule {
  runNode(options: {
    config: Config;
    version: string;
  }): Promise<{ ready: Promise<void>; stop(): Promise<void> }>;
}

export const nodeCommand: CliCommand = {
  name: 'node',
  summary: 'run one node (needs a PostgreSQL database: --store)',
  help: () =>
    [
      'Usage: ringfence node [flags]',
      '',
      'Runs one node until SIGTERM. With --check-config it only checks the configuration.',
      'Each option can also be in the environment (RINGFENCE_MAXMEMORY) or in the file.',
      '',
      optionHelp(),
    ].join('\n'),
  run: runNodeCommand,
};

async function runNodeCommand(argv: readonly string[]): Promise<number> {
  const checkOnly = argv.includes('--check-config');
  const config = loadNodeConfig(argv.filter((word) => word !== '--check-config'));
  if (checkOnly) {
    for (const warning of config.warnings) process.stdout.write(`warning: ${warning}\n`);
    process.stdout.write('the configuration is fine\n');
    return EXIT.ok;
  }
  process.title = `ringfence node ${config.nodeId}`;
  // Asked for before anything is started, so that a stop during the start is not lost.
  const stopRequested = new Promise<string>((resolve) => {
    onStopRequest((reason) => resolve(reason));
  });
  const url = new URL(`../main${EXTENSION}`, import.meta.url).href;
  const main = (await import(url)) as NodeModule;
  const node = await main.runNode({ config, version: version() }).catch((error: unknown) => {
    throw new PlainError(`${config.nodeId} cannot start: ${messageOf(error)}`);
  });
  try {
    await Promise.race([node.ready.then(() => stopRequested), stopRequested]);
  } catch (error) {
    throw new PlainError(`${config.nodeId} cannot join: ${messageOf(error)}`);
  } finally {
    await node.stop();
  }
  return EXIT.ok;
}
