/** Puts every key of the key space into a server, and checks that all are there. */
import { Redis } from 'ioredis';
import { KEY_SPACE, keyName, VALUE } from './load.ts';

const CHUNK = 1000;

/** Writes all keys with this prefix, then reads them back. Rejects when one fails or is missing. */
export async function fill(port: number, prefix: string): Promise<void> {
  const redis = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: 0 });
  try {
    for (let from = 0; from < KEY_SPACE; from += CHUNK) {
      const keys = Array.from({ length: CHUNK }, (_, i) => keyName(prefix, from + i));
      await Promise.all(keys.map((key) => redis.set(key, VALUE)));
      const values = await Promise.all(keys.map((key) => redis.get(key)));
      if (values.some((value) => value !== VALUE)) {
        throw new Error(`port ${port} does not have what was just written to it`);
      }
    }
  } finally {
    redis.disconnect();
  }
}
