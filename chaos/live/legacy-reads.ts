/**
 * Reads of keys that only the legacy API has, all along: whatever is wrong with that API, the answer is
 * the value or an error, never "there is no such key" and never something else.
 */
import type { Random } from '../../src/platform/clock.ts';
import { type Verdict, verdict } from '../checkers/checker.ts';
import { ChaosClient } from '../client.ts';
import { pause } from '../faults/fault.ts';
import type { Target } from '../target.ts';

/** The sample API has this many users; each is fetched once and kept. */
const USERS = 10_000;
const PAUSE_MS = 30;

/** Goes on until `stopped`; then tells what it saw. */
export async function readLegacyKeys(
  target: Target,
  random: Random,
  stopped: () => boolean,
): Promise<Verdict> {
  const client = new ChaosClient(target.nodes, random.below(target.nodes.length));
  const wrong: string[] = [];
  const counts = { ok: 0, refused: 0, unknown: 0 };
  while (!stopped()) {
    const id = 1 + random.below(USERS);
    const { outcome, reply, node } = await client.run('GET', `user:${id}`);
    counts[outcome]++;
    if (outcome === 'ok' && !isUser(id, reply)) {
      wrong.push(`user:${id} on ${node}: ${JSON.stringify(reply)}`);
    }
    await pause(PAUSE_MS);
  }
  client.close();
  const { ok, refused, unknown } = counts;
  const judged = `${ok} answers, ${refused} refused, ${unknown} unknown`;
  return verdict('legacy-keys-are-right', judged, wrong);
}

function isUser(id: number, reply: unknown): boolean {
  if (typeof reply !== 'string') return false;
  // What the sample API makes of a user; anything else would not be parsed as one.
  return reply.startsWith(`{"id":${id},`);
}
