/**
 * Judges a run again from its history: `npx tsx chaos/judge.ts .ringfence/chaos/RUN/history.jsonl`. Says what
 * the report says, and writes report.txt and report.html beside the history.
 */
import { dirname } from 'node:path';
import { passed } from './checkers/checker.ts';
import { judgeRun } from './checkers/index.ts';
import { readHistoryFile } from './history-file.ts';
import { writeReport } from './report/write.ts';

process.exitCode = await main(process.argv.slice(2));

/** 0 when every checker holds, 1 when one does not, 2 for wrong usage. */
async function main([path, ...more]: readonly string[]): Promise<number> {
  if (path === undefined || more.length > 0 || path.startsWith('-')) {
    process.stderr.write('Usage: npx tsx chaos/judge.ts HISTORY.jsonl\n');
    return 2;
  }
  try {
    const history = await readHistoryFile(path);
    const verdicts = judgeRun(history);
    for (const line of writeReport(dirname(path), history, verdicts)) {
      process.stdout.write(`${line}\n`);
    }
    return passed(verdicts) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${path}: ${(error as Error).message}\n`);
    return 1;
  }
}
