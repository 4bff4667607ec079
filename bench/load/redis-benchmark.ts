/** The load generator for everything that speaks the Redis protocol: the same client for all sides. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { KEY_SPACE, type Load, type Measured, VALUE } from './load.ts';

const run = promisify(execFile);

/** Runs one round against a port of this machine. Rejects when any reply was an error. */
export async function redisBenchmark(
  port: number,
  load: Load,
  operations: number,
): Promise<Measured> {
  // It ends with exit code 1 at the first error reply, so what it measured were successes only.
  const { stdout } = await run('redis-benchmark', benchmarkArguments(port, load, operations), {
    encoding: 'utf8',
  });
  const measured = parseCsv(stdout, operations);
  return { ...measured, opsPerSecond: measured.opsPerSecond * (load.keysPerCommand ?? 1) };
}

export function benchmarkArguments(port: number, load: Load, operations: number): string[] {
  const { client, connections, pipeline, keySpace = KEY_SPACE, keysPerCommand = 1 } = load;
  const commands = Math.ceil(operations / keysPerCommand);
  return [
    ...['-p', String(port), '-c', String(connections), '-P', String(pipeline)],
    ...(client === 'redis-benchmark --cluster' ? ['--cluster'] : []),
    ...['-n', String(commands), '-r', String(keySpace), '--csv', '--precision', '3'],
    ...commandOf(load),
  ];
}

/** In a cluster, redis-benchmark puts a tag of the right node in the place of `{tag}`: one key a slot. */
function commandOf({ command, client, prefix, hotKey, keysPerCommand = 1 }: Load): string[] {
  const random = client === 'redis-benchmark --cluster' ? '{tag}' : '__rand_int__';
  const key = hotKey ?? `${prefix}${random}`;
  switch (command) {
    case 'get':
      return ['GET', key];
    case 'set':
      return ['SET', key, VALUE];
    case 'incr':
      return ['INCR', key];
    case 'mget':
      return ['MGET', ...Array.from({ length: keysPerCommand }, () => key)];
  }
}

/**
 * Parses what `--csv` prints: a line of names, a line of values; the first value is the command. With
 * `--cluster`, it tells of the nodes before.
 */
export function parseCsv(text: string, operations: number): Measured {
  const [names, values] = text
    .trim()
    .split('\n')
    .filter((line) => line.startsWith('"'))
    .map((line) => line.slice(1, -1).split('","'));
  const column = (name: string): number => {
    const value = Number(values?.[names?.indexOf(name) ?? -1]);
    if (!Number.isFinite(value)) {
      throw new Error(`redis-benchmark printed no ${name}:\n${text.slice(0, 2000)}`);
    }
    return value;
  };
  return {
    operations,
    opsPerSecond: column('rps'),
    p50Ms: column('p50_latency_ms'),
    p99Ms: column('p99_latency_ms'),
  };
}
