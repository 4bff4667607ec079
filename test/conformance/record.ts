/**
 * Plays all cases against a real redis-server and writes its replies to `recordings/`:
 * `npx tsx test/conformance/record.ts [family...]`. Review the result as a diff.
 */
import { loadScenarios, type Scenario } from './case-file.ts';
import { play, type Answer } from './player.ts';
import { CASES_FOLDER, saveRecording } from './recordings.ts';
import { references } from './reference.ts';

const wanted = process.argv.slice(2);
const families = new Map<string, Scenario[]>();
for (const scenario of loadScenarios(CASES_FOLDER)) {
  families.set(scenario.family, [...(families.get(scenario.family) ?? []), scenario]);
}

const servers = references();
try {
  for (const [family, scenarios] of families) {
    if (wanted.length > 0 && !wanted.includes(family)) continue;
    saveRecording(family, await record(family, scenarios));
    console.log(`${family}: ${scenarios.length} scenarios`);
  }
} finally {
  await servers.stop();
}

async function record(
  family: string,
  scenarios: readonly Scenario[],
): Promise<Map<string, Answer[]>> {
  const server = await servers.forFamily(family);
  const recording = new Map<string, Answer[]>();
  for (const scenario of scenarios) {
    recording.set(scenario.title, await play([server], scenario, 'first'));
  }
  return recording;
}
