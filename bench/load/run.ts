/** A run: the scenarios that were chosen, one after the other, and what is done with their figures. */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXIT } from '../../src/cli/program.ts';
import { describeProfile, readProfileOf, summarise } from './cpu-profile.ts';
import type { Field } from './field.ts';
import { commitOfCheckout, describeThisMachine } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { writePages } from './page/write.ts';
import { delaySyncs } from './postgres.ts';
import {
  type BenchResult,
  describeMachine,
  describeScenario,
  missed,
  resultOf,
  type ScenarioResult,
} from './report.ts';
import { saveResult } from './results.ts';
import type { Scenario } from './scenario.ts';
import { withField } from './surroundings.ts';

const PROFILE_LINES = 25;

type Say = (line: string) => void;

/** Resolves to the exit code. */
export function runBench(
  options: BenchOptions,
  argv: readonly string[],
  say: Say,
): Promise<number> {
  const { durations, keysShare, nodeFlags, port } = options;
  const profileDir = options.cpuProfileDir;
  if (profileDir !== undefined) mkdirSync(profileDir, { recursive: true });
  const cpuProfileDir = profileDir === undefined ? undefined : resolve(profileDir);
  const about = { durations, keysShare, nodeFlags, port, cpuProfileDir, say };
  return withField(about, (field) => measureAll(field, options, argv, say));
}

async function measureAll(
  field: Field,
  options: BenchOptions,
  argv: readonly string[],
  say: Say,
): Promise<number> {
  const startedAt = new Date().toISOString();
  const machine = await describeThisMachine(field.options.dir);
  for (const line of [...describeMachine(machine), '']) say(line);
  const scenarios: ScenarioResult[] = [];
  const profiled = new Set<number>();
  for (const [i, scenario] of options.scenarios.entries()) {
    await field.keep(options.scenarios.slice(i).flatMap(({ targets }) => targets));
    say(`${scenario.title} ...`);
    const result = await measureOne(scenario, field, scenario.syncDelayMs ?? options.syncDelayMs);
    if (scenario.targets.includes('cluster')) {
      for (const pid of (await field.get('cluster')).nodePids) profiled.add(pid);
    }
    for (const line of [...describeScenario(result).slice(1), '']) say(line);
    scenarios.push(result);
  }
  await field.stopAll();
  const commit = commitOfCheckout();
  const result: BenchResult = { format: 2, startedAt, commit, flags: argv, machine, scenarios };
  if (options.save) {
    for (const file of [...saveResult(result), ...writePages()]) say(`written: ${file}`);
  }
  const { cpuProfileDir } = field.options;
  if (cpuProfileDir !== undefined) printProfiles(scenarios, [...profiled], cpuProfileDir, say);
  return judgeAll(scenarios, options.floorCheck, say);
}

async function measureOne(
  scenario: Scenario,
  field: Field,
  syncDelayMs: number,
): Promise<ScenarioResult> {
  const slowed = syncDelayMs > 0 && scenario.targets.includes('cluster');
  if (!slowed) return resultOf(scenario, await scenario.measure(field), 0);
  const { storeUrl } = await field.get('cluster');
  await delaySyncs(storeUrl, syncDelayMs);
  const figures = await scenario.measure(field);
  await delaySyncs(storeUrl, 0);
  return resultOf(scenario, figures, syncDelayMs);
}

function judgeAll(scenarios: readonly ScenarioResult[], floorCheck: boolean, say: Say): number {
  for (const line of missed(scenarios, 'goal')) say(`goal missed: ${line}`);
  const floors = missed(scenarios, 'floor');
  for (const line of floors) say(`floor missed: ${line}`);
  return floorCheck && floors.length > 0 ? EXIT.failed : EXIT.ok;
}

function printProfiles(
  scenarios: readonly ScenarioResult[],
  nodePids: readonly number[],
  dir: string,
  say: Say,
): void {
  const profiles = nodePids.map((pid) => readProfileOf(pid, dir));
  for (const { title, ours } of scenarios) {
    say(`\n${title}: self time`);
    const windows = ours.rounds.flatMap(({ window }) => (window === undefined ? [] : [window]));
    profiles.forEach((profile, i) => {
      const lines =
        profile === undefined
          ? [`  node-${i + 1} wrote no profile`]
          : describeProfile(`node-${i + 1}`, summarise(profile, windows), PROFILE_LINES);
      for (const line of lines) say(line);
    });
  }
}
