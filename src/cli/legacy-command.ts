/** `ringfence legacy`: the sample legacy API as a process of its own. */
import { type FlagSpec, flagHelp, integerFlag, parseFlags, rejectExtras } from './flags.ts';
import { onStopRequest } from './parent.ts';
import { type CliCommand, EXIT, messageOf, PlainError } from './program.ts';
import { startSampleLegacy } from './sample-legacy.ts';

const FLAGS: readonly FlagSpec[] = [
  { name: 'host', value: 'ADDRESS', help: 'address to listen on (127.0.0.1)' },
  { name: 'port', value: 'PORT', help: 'port to listen on (8001)' },
];

export const legacyCommand: CliCommand = {
  name: 'legacy',
  summary: 'run the sample legacy API: user:1 to user:10000',
  help: () =>
    `Usage: ringfence legacy [flags]\n\nRuns the sample legacy API: GET /legacy/data/{key}.\n\n${flagHelp(FLAGS)}`,
  run: runLegacy,
};

async function runLegacy(argv: readonly string[]): Promise<number> {
  const flags = parseFlags(argv, FLAGS);
  rejectExtras(flags);
  const host = flags.values.get('host') ?? '127.0.0.1';
  const port = integerFlag(flags, 'port', { min: 0, max: 65535, fallback: 8001 });
  process.title = 'ringfence legacy';
  const server = await startSampleLegacy({ host, port }).catch((error: unknown) => {
    throw new PlainError(`cannot listen on ${host}:${port}: ${messageOf(error)}`);
  });
  process.stdout.write(`sample legacy API on http://${host}:${server.port}/legacy/data/{key}\n`);
  await new Promise<void>((resolve) => onStopRequest(() => resolve()));
  await server.close();
  return EXIT.ok;
}
