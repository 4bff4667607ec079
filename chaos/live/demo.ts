/** The short demonstrations that come before the faults: they fail loudly when one does not hold. */
import { ChaosClient } from '../client.ts';
import type { Target } from '../target.ts';

/** Each line says what was shown. */
export async function runDemo(target: Target, say: (line: string) => void): Promise<void> {
  const clients = target.nodes.map((_, i) => new ChaosClient(target.nodes, i));
  const first = clients[0]!;
  const last = clients[clients.length - 1]!;
  try {
    await expectReply(first.run('SET', 'demo:a', '1'), 'OK');
    await expectReply(last.run('GET', 'demo:a'), '1');
    say('  SET on the first node, GET on the last: 1');

    const legacy = await last.run('GET', 'user:1001');
    if (legacy.outcome !== 'ok' || typeof legacy.reply !== 'string') {
      throw new Error(`GET user:1001 should come from the legacy API: ${String(legacy.reply)}`);
    }
    say(`  GET user:1001 came over from the legacy API: ${String(legacy.reply)}`);

    const rows = await target.query(
      "SELECT key, value FROM kv_text WHERE key IN ('demo:a', 'user:1001')",
    );
    const values = new Map(rows.map(([key = '', value = '']) => [key, value]));
    if (values.get('demo:a') !== '1' || values.get('user:1001') !== legacy.reply) {
      throw new Error(`SQL should see both keys: ${JSON.stringify(rows)}`);
    }
    say('  SQL sees both in kv_store');
  } finally {
    for (const client of clients) client.close();
  }
}

async function expectReply(answer: ReturnType<ChaosClient['run']>, wanted: string): Promise<void> {
  const { reply } = await answer;
  if (reply !== wanted) throw new Error(`the reply should be ${wanted}: ${String(reply)}`);
}
