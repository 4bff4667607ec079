import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Verdict } from '../checkers/checker.ts';
import type { History } from '../history.ts';
import { figuresOf } from './figures.ts';
import { htmlReport } from './page.ts';
import { textReport } from './text.ts';

/** Writes `report.txt` and `report.html` into a folder that exists, and gives the lines of the text. */
export function writeReport(
  folder: string,
  history: History,
  verdicts: readonly Verdict[],
): readonly string[] {
  const figures = figuresOf(history);
  const lines = textReport(history, verdicts, figures);
  writeFileSync(join(folder, 'report.txt'), lines.map((line) => `${line}\n`).join(''));
  writeFileSync(join(folder, 'report.html'), htmlReport(history, verdicts, figures));
  return lines;
}
