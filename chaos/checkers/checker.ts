import type { History } from '../history.ts';

/**
 * `undecided`: a bound on the work was reached before an answer was found. It is no pass. `not-judged`: a run of
 * that kind does not record what the checker looks at; the verdict says so.
 */
export type Status = 'holds' | 'broken' | 'undecided' | 'not-judged';

export interface Verdict {
  readonly checker: string;
  readonly status: Status;
  /** What was looked at, in numbers, so that a verdict over nothing is seen as one. */
  readonly judged: string;
  /** One text per violation (or per thing that stayed undecided), of one or more lines. */
  readonly findings: readonly string[];
}

/** Something that must hold for every history. */
export interface Checker {
  readonly name: string;
  /** What holds when it holds, in one sentence. */
  readonly claim: string;
  /** Pure: the same history gets the same verdict, whatever machine it is judged on. */
  check(history: History): Verdict;
}

/** Whether a run with these verdicts counts as one without a violation. */
export function passed(verdicts: readonly Verdict[]): boolean {
  return verdicts.every(({ status }) => status === 'holds' || status === 'not-judged');
}

/** Findings kept of one checker; the rest is counted. */
const FINDINGS_MAX = 20;

/** The verdict of a checker that always decides: broken when it found something. */
export function verdict(
  checker: string,
  judged: string,
  findings: readonly string[],
  undecided: readonly string[] = [],
): Verdict {
  const status = findings.length > 0 ? 'broken' : undecided.length > 0 ? 'undecided' : 'holds';
  return { checker, status, judged, findings: shortened([...findings, ...undecided]) };
}

function shortened(findings: readonly string[]): readonly string[] {
  const more = findings.length - FINDINGS_MAX;
  return more <= 0 ? findings : [...findings.slice(0, FINDINGS_MAX), `and ${more} more`];
}
