/** All clients count up the same few keys: a lost or doubled increment shows in the sum. */
import type { Workload } from './workload.ts';

const COUNTERS = 5;

export const counters: Workload = {
  name: 'counters',
  async step({ run, client, connection, history, step }) {
    const key = `chaos:counter:${run}:${step % COUNTERS}`;
    const startedAtMs = Date.now();
    const answer = await connection.run('INCR', key);
    const endedAtMs = Date.now();
    history.add({
      client,
      kind: 'incr',
      key,
      value: '',
      startedAtMs,
      endedAtMs,
      ...answer,
      reply: String(answer.reply),
    });
  },
};
