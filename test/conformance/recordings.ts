/**
 * The recordings: what redis-server answered to each step, one JSON file a family, one line a step, so
 * that a change reads well as a diff. And the table of deliberate differences.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './player.ts';

export const CASES_FOLDER = join(import.meta.dirname, 'cases');
const RECORDINGS_FOLDER = join(import.meta.dirname, 'recordings');
const DIFFERENCES_FILE = join(import.meta.dirname, 'differences.json');

/** Answers by scenario title. */
export type Recording = Readonly<Record<string, readonly Answer[]>>;

/** One deliberate difference. Ours must be exactly what stands here. */
export interface Difference {
  /** `family: title`. */
  readonly scenario: string;
  /** The step's line; every step of the scenario with this line is meant. */
  readonly step: string;
  readonly ours: string;
  readonly reason: string;
}

/** The recording of a family; empty when there is none yet. */
export function loadRecording(family: string): Recording {
  const file = join(RECORDINGS_FOLDER, `${family}.json`);
  if (!existsSync(file)) return {};
  return JSON.parse(readFileSync(file, 'utf8')) as Recording;
}

/** Replaces the recording of a family. */
export function saveRecording(
  family: string,
  recording: ReadonlyMap<string, readonly Answer[]>,
): void {
  const scenarios = [...recording].map(([title, answers]) => {
    const lines = answers.map((answer) => `    ${printable(answer)}`).join(',\n');
    return `  ${printable(title)}: [\n${lines}\n  ]`;
  });
  mkdirSync(RECORDINGS_FOLDER, { recursive: true });
  writeFileSync(join(RECORDINGS_FOLDER, `${family}.json`), `{\n${scenarios.join(',\n')}\n}\n`);
}

/** JSON in pure ASCII: bytes above 0x7e as \u00XX. */
function printable(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\x7f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function loadDifferences(): Difference[] {
  return JSON.parse(readFileSync(DIFFERENCES_FILE, 'utf8')) as Difference[];
}

/** The recorded answers with our deliberate differences in their place. */
export function expectedFromUs(
  scenario: string,
  recorded: readonly Answer[],
  differences: readonly Difference[],
): Answer[] {
  const mine = differences.filter((difference) => difference.scenario === scenario);
  return recorded.map(([line, reply]) => [
    line,
    mine.find(({ step }) => step === line)?.ours ?? reply,
  ]);
}

/** Differences that name no recorded step, or repeat what is recorded: they would assert nothing. */
export function idleDifferences(
  differences: readonly Difference[],
  recordings: ReadonlyMap<string, Recording>,
): string[] {
  return differences.flatMap(({ scenario, step, ours }) => {
    const [family, title] = splitName(scenario);
    const answers = recordings.get(family)?.[title] ?? [];
    const recorded = answers.filter(([line]) => line === step);
    if (recorded.length === 0) return [`${scenario}: no step "${step}"`];
    return recorded.every(([, reply]) => reply === ours)
      ? [`${scenario}: "${step}" does not differ`]
      : [];
  });
}

function splitName(scenario: string): [family: string, title: string] {
  const colon = scenario.indexOf(': ');
  return [scenario.slice(0, colon), scenario.slice(colon + 2)];
}
