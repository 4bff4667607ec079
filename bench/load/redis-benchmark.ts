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
  return parseCsv(stdout, operations);
}

export function benchmarkArguments(port: number, load: Load, operations: number): string[] {
  const key = `${load.prefix}__rand_int__`;
  return [
    ...['-p', String(port), '-c', String(load.connections), '-P', String(load.pipeline)],
    ...['-n', String(operations), '-r', String(KEY_SPACE), '--csv', '--precision', '3'],
    ...(load.command === 'get' ? ['GET', key] : ['SET', key, VALUE]),
  ];
}

/** Parses what `--csv` prints: a line of names, a line of values; the first value is the command. */
export function parseCsv(text: string, operations: number): Measured {
  const [names, values] = text
    .trim()
    .split('\n')
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
