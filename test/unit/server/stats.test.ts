import { describe, expect, it } from 'vitest';
import type { Platform } from '../../../src/platform/platform.ts';
import { humanBytes } from '../../../src/server/info.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { createHarness, FakeConnection } from './harness.ts';

/** All INFO fields after the given input. */
function infoAfter(input: string): {
  fields: Map<string, string>;
  time: VirtualTime;
  readonly reread: () => Map<string, string>;
  readonly reset: () => void;
} {
  const time = new VirtualTime();
  const { server } = createHarness({
    platform: { clock: time, timers: time } as unknown as Platform,
  });
  const connection = new FakeConnection(() => time.endTurn());
  server.clients.add(connection);
  connection.receive(input);
  const reread = (): Map<string, string> =>
    new Map(
      server.port.stats
        .info()
        .flatMap((section) => section.lines())
        .map(([field, value]) => [field, String(value)]),
    );
  return { fields: reread(), time, reread, reset: () => server.port.stats.resetStat() };
}

describe('INFO', () => {
  it('has the sections that tools read, in order', () => {
    const { server } = createHarness();
    expect(server.port.stats.info().map((section) => section.name)).toEqual([
      'server',
      'clients',
      'memory',
      'persistence',
      'stats',
      'replication',
      'cpu',
      'modules',
      'commandstats',
      'errorstats',
      'cluster',
      'keyspace',
      'ringfence',
    ]);
    return server.close(0);
  });

  it('counts commands, rejections, failures and errors', () => {
    const { fields } = infoAfter(
      'PING\r\nPING\r\nGET\r\nGET a\r\nnosuch\r\nSELECT 99\r\nCLIENT ID\r\n',
    );
    expect(fields.get('cmdstat_ping')).toMatch(
      /^calls=2,usec=\d+,usec_per_call=[\d.]+,rejected_calls=0,failed_calls=0$/,
    );
    expect(fields.get('cmdstat_get')).toMatch(/^calls=1,.*rejected_calls=1,failed_calls=0$/);
    expect(fields.get('cmdstat_client|id')).toMatch(/^calls=1,/);
    expect(fields.get('errorstat_ERR')).toBe('count=3');
    expect(fields.get('total_error_replies')).toBe('3');
    expect(fields.get('total_commands_processed')).toBe('7');
    expect(fields.get('connected_clients')).toBe('1');
  });

  it('tells what its sources tell', () => {
    const { fields } = infoAfter('');
    expect(fields.get('db0')).toBe('keys=7,expires=2,avg_ttl=10');
    expect(fields.get('used_memory_human')).toBe('1.50K');
    expect(fields.get('used_memory_peak_perc')).toBe('50.00%');
    expect(fields.get('rdb_changes_since_last_save')).toBe('3');
    expect(fields.get('rdb_last_save_time')).toBe('5');
    expect(fields.get('evicted_keys')).toBe('4');
    expect(fields.get('view_epoch')).toBe('9');
  });

  it('shows operations per second over the last samples, and zero when they stop', () => {
    const { time, reread } = infoAfter('PING\r\n'.repeat(160));
    time.advance(100);
    expect(reread().get('instantaneous_ops_per_sec')).toBe('100');
    time.advance(1600);
    expect(reread().get('instantaneous_ops_per_sec')).toBe('0');
  });

  it('starts from zero after CONFIG RESETSTAT', () => {
    const { reread, reset } = infoAfter('PING\r\nnosuch\r\n');
    reset();
    const fields = reread();
    expect(fields.get('total_commands_processed')).toBe('0');
    expect(fields.has('cmdstat_ping')).toBe(false);
    expect(fields.has('errorstat_ERR')).toBe(false);
  });
});

describe('the password', () => {
  it.each([
    ['plain', 'secret', 'secret', true],
    ['wrong', 'secret', 'Secret', false],
    ['a prefix', 'secret', 'secre', false],
    [
      'text beyond ASCII from a file, sent as UTF-8',
      'pässword',
      Buffer.from('pässword').toString('latin1'),
      true,
    ],
    [
      'bytes from CONFIG SET',
      Buffer.from('пароль').toString('latin1'),
      Buffer.from('пароль').toString('latin1'),
      true,
    ],
    ['text that only looks alike when cut to bytes', 'Ā', '\0', false],
  ])('%s', async (_label, requirepass, given, right) => {
    const { server } = createHarness({ settings: { requirepass } });
    expect(server.port.checkPassword('default', given)).toBe(right);
    expect(server.port.checkPassword('other', given)).toBe(false);
    await server.close(0);
  });
});

describe('humanBytes', () => {
  it.each([
    [0, '0B'],
    [1023, '1023B'],
    [1024, '1.00K'],
    [916_208, '894.73K'],
    [2 ** 40, '1.00T'],
  ])('%d is %s', (bytes, text) => {
    expect(humanBytes(bytes)).toBe(text);
  });
});
