/**
 * `npm run bench`: our cluster and its peers, side by side on this machine, in one run. Prints ratios and
 * processor time per operation, and writes them to bench/results. docs/benchmarks.md says how to read them.
 */
import { UsageError } from '../src/cli/flags.ts';
import { EXIT, PlainError } from '../src/cli/program.ts';
import { runComparison } from './load/compare.ts';
import { describeScenarios } from './load/list.ts';
import { parseOptions, usage } from './load/options.ts';
import { writePages } from './load/page/write.ts';
import { runBench } from './load/run.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function bench(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  switch (options.mode) {
    case 'help':
      say(usage());
      return EXIT.ok;
    case 'list':
      for (const line of describeScenarios()) say(line);
      return EXIT.ok;
    case 'page':
      for (const file of writePages()) say(`written: ${file}`);
      return EXIT.ok;
    case 'compare':
      return runComparison(options, say);
    case 'measure':
      return runBench(options, argv, say);
  }
}

async function main(): Promise<void> {
  try {
    process.exitCode = await bench(process.argv.slice(2));
  } catch (error) {
    const usageError = error instanceof UsageError;
    process.exitCode = usageError ? EXIT.usage : EXIT.failed;
    if (usageError) process.stderr.write(`error: ${error.message}\n\n${usage()}\n`);
    else if (error instanceof PlainError) process.stderr.write(`error: ${error.message}\n`);
    else throw error;
  }
}

await main();
