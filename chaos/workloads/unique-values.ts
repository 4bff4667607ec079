/** Each client writes its own keys, every time with a value never used before. */
import type { Workload } from './workload.ts';

const KEYS_PER_CLIENT = 40;

export const uniqueValues: Workload = {
  name: 'unique-values',
  async step({ client, connection, history, step }) {
    const key = `chaos:${client}:${step % KEYS_PER_CLIENT}`;
    const value = `${client}-${step}`;
    const startedAtMs = Date.now();
    const answer = await connection.run('SET', key, value);
    history.add({
      client,
      kind: 'set',
      key,
      value,
      startedAtMs,
      endedAtMs: Date.now(),
      ...answer,
      reply: String(answer.reply),
    });
  },
};
