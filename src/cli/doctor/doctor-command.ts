/** `ringfence doctor`: looks at everything a node needs, and says what to fix. */
import { loadNodeConfig } from '../node-config.ts';
import { flagHelp, UsageError } from '../flags.ts';
import { CONFIG_FLAG } from '../node-config.ts';
import { type CliCommand, EXIT } from '../program.ts';
import { checkDatabase } from './check-database.ts';
import { checkLegacy } from './check-legacy.ts';
import { checkNetwork } from './check-network.ts';
import { fail, type Finding, formatFinding, ok, warn } from './finding.ts';

const WILDCARDS = new Set(['0.0.0.0', '::', '']);

export const doctorCommand: CliCommand = {
  name: 'doctor',
  summary: 'check config, database, ports, peers, clock and legacy API',
  help: () =>
    [
      'Usage: ringfence doctor [flags]',
      '',
      'Takes the same flags, environment and file as ringfence node, checks everything that a',
      'node needs and says what to fix. Exit code 1 when something must be fixed.',
      '',
      flagHelp([CONFIG_FLAG]),
      '',
      'Every option of a node (ringfence node --help) is a flag too.',
    ].join('\n'),
  run: runDoctor,
};

async function runDoctor(argv: readonly string[]): Promise<number> {
  const findings = await examine(argv);
  for (const finding of findings) process.stdout.write(`${formatFinding(finding)}\n`);
  const failures = findings.filter(({ level }) => level === 'fail').length;
  const warnings = findings.filter(({ level }) => level === 'warn').length;
  process.stdout.write(`${failures} to fix, ${warnings} to look at\n`);
  return failures === 0 ? EXIT.ok : EXIT.failed;
}

async function examine(argv: readonly string[]): Promise<Finding[]> {
  let config: ReturnType<typeof loadNodeConfig>;
  try {
    config = loadNodeConfig(argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    // Without a configuration, nothing else can be looked at.
    return [fail('config', error.message, 'docs/configuration.md lists the options')];
  }
  const where = config.filePath ?? 'no file, only flags, environment and defaults';
  const host = WILDCARDS.has(config.bind) ? '127.0.0.1' : config.bind;
  const { port, linkPort, httpPort } = config;
  const parts = await Promise.all([
    checkDatabase(config.store, config.storeConnections),
    checkNetwork({ host, port, linkPort, httpPort, password: config.initial.requirepass }),
    checkLegacy(config.policies.all),
  ]);
  return [
    ok('config', where),
    ...config.warnings.map((text) => warn('config', text, 'is it misspelt?')),
    ...parts.flat(),
  ];
}
