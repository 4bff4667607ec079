/** Writes what is made of the saved results: the tables in docs/benchmarks.md and the page with charts. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../../src/cli/program.ts';
import { newestOf, readResults, RESULTS } from '../results.ts';
import { SCALING_SCENARIOS, SCENARIOS } from '../scenarios.ts';
import { htmlPage } from './html.ts';
import { withFigures } from './markdown.ts';

export interface Page {
  readonly path: string;
  readonly content: string;
}

/** Both files as they should be, from the results that are in the checkout. */
export function pages(): Page[] {
  const ids = [...SCENARIOS, ...SCALING_SCENARIOS].map(({ id }) => id);
  const newest = newestOf(readResults(), ids);
  const docs = join(PACKAGE_ROOT, 'docs', 'benchmarks.md');
  return [
    { path: docs, content: withFigures(readFileSync(docs, 'utf8'), newest) },
    { path: join(RESULTS, 'index.html'), content: htmlPage(newest) },
  ];
}

/** Returns the paths of what was written. */
export function writePages(): string[] {
  return pages().map(({ path, content }) => {
    writeFileSync(path, content);
    return path;
  });
}
