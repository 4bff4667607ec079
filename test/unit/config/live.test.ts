import { beforeEach, describe, expect, it } from 'vitest';
import { ReplyError } from '../../../src/errors.ts';
import type { Disk } from '../../../src/platform/disk.ts';
import { createLiveConfig, type LiveConfig } from '../../../src/config/live.ts';
import { loadConfig } from '../../../src/config/load.ts';

class MemoryDisk implements Disk {
  readonly files = new Map<string, string>();
  readText(path: string): Promise<string | null> {
    return Promise.resolve(this.files.get(path) ?? null);
  }
  replaceText(path: string, text: string): Promise<void> {
    this.files.set(path, text);
    return Promise.resolve();
  }
}

function errorOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ReplyError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'OK';
}

let disk: MemoryDisk;
let live: LiveConfig;

beforeEach(() => {
  disk = new MemoryDisk();
  live = createLiveConfig(loadConfig({}), disk);
});

describe('CONFIG SET', () => {
  const failed = (name: string, reason: string): string =>
    `ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}`;

  // Texts as redis-server 7.0.15 gave them; only upper bounds differ where ours are lower.
  it.each<[string, [string, string][], string]>([
    [
      'unknown name',
      [['foo', '1']],
      "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
    ],
    [
      'unknown after good',
      [
        ['maxmemory', '1'],
        ['foo', '2'],
      ],
      "ERR Unknown option or number of arguments for CONFIG SET - 'foo'",
    ],
    ['not a size', [['maxmemory', 'abc']], failed('maxmemory', 'argument must be a memory value')],
    [
      'negative size',
      [['maxmemory', '-1']],
      failed('maxmemory', 'argument must be a memory value'),
    ],
    [
      'fraction of a size',
      [['maxmemory', '1.5mb']],
      failed('maxmemory', 'argument must be a memory value'),
    ],
    [
      'size with a space',
      [['maxmemory', ' 5']],
      failed('maxmemory', 'argument must be a memory value'),
    ],
    [
      'duplicate',
      [
        ['maxmemory', '1'],
        ['Maxmemory', '2'],
      ],
      failed('Maxmemory', 'duplicate parameter'),
    ],
    ['immutable', [['databases', '3']], failed('databases', "can't set immutable config")],
    [
      'immutable before unknown',
      [
        ['databases', '3'],
        ['foo', '1'],
      ],
      failed('databases', "can't set immutable config"),
    ],
    [
      'not an integer',
      [['maxmemory-samples', 'abc']],
      failed('maxmemory-samples', "argument couldn't be parsed into an integer"),
    ],
    [
      'below the range',
      [['maxmemory-samples', '0']],
      failed('maxmemory-samples', 'argument must be between 1 and 2147483647 inclusive'),
    ],
    [
      'above the range',
      [['tcp-keepalive', '99999999999']],
      failed('tcp-keepalive', 'argument must be between 0 and 2147483647 inclusive'),
    ],
    [
      'not in the list',
      [['loglevel', 'xx']],
      failed(
        'loglevel',
        'argument(s) must be one of the following: debug, verbose, notice, warning',
      ),
    ],
    [
      'limits, too few words',
      [['client-output-buffer-limit', 'normal 1']],
      failed(
        'client-output-buffer-limit',
        'Wrong number of arguments in buffer limit configuration.',
      ),
    ],
    [
      'limits, class',
      [['client-output-buffer-limit', 'foo 1 2 3']],
      failed(
        'client-output-buffer-limit',
        'Invalid client class specified in buffer limit configuration.',
      ),
    ],
    [
      'limits, number',
      [['client-output-buffer-limit', 'slave 1mb 2mb -3']],
      failed(
        'client-output-buffer-limit',
        'Error in hard, soft or soft_seconds setting in buffer limit configuration.',
      ),
    ],
    ['fixed name, other value', [['save', '900 1']], failed('save', "can't set immutable config")],
    [
      'fixed name, same value',
      [
        ['save', ''],
        ['appendonly', 'no'],
      ],
      'OK',
    ],
  ])('replies as Redis does: %s', (_, pairs, expected) => {
    expect(errorOf(() => live.set(pairs))).toBe(expected);
  });

  it('sets all or none', () => {
    expect(
      errorOf(() =>
        live.set([
          ['maxmemory', '5'],
          ['timeout', 'abc'],
        ]),
      ),
    ).toContain("'timeout'");
    expect(live.maxmemory).toBe(0);
    live.set([
      ['maxmemory', '5'],
      ['timeout', '7'],
    ]);
    expect([live.maxmemory, live.timeout]).toEqual([5, 7]);
  });

  it('takes names and enum values in any case', () => {
    live.set([['MAXMEMORY-policy', 'ALLKEYS-LFU']]);
    expect(live.maxmemoryPolicy).toBe('allkeys-lfu');
  });

  it('keeps the limits of classes that are not named', () => {
    live.set([['client-output-buffer-limit', 'normal 1mb 2mb 3']]);
    expect(live.get('client-output-buffer-limit')).toEqual([
      [
        'client-output-buffer-limit',
        'normal 1048576 2097152 3 slave 268435456 67108864 60 pubsub 33554432 8388608 60',
      ],
    ]);
  });

  it('tells those who asked, with the new and the old value, until they stop asking', () => {
    const seen: unknown[] = [];
    const stop = live.onChange('maxclients', (value, previous) => seen.push([value, previous]));
    live.set([['maxclients', '5']]);
    stop();
    live.set([['maxclients', '6']]);
    expect(seen).toEqual([[5, 10_000]]);
  });
});

describe('CONFIG GET', () => {
  it('shows sizes in bytes and booleans as yes or no', () => {
    live.set([['maxmemory', '100mb']]);
    expect(live.get('maxmemory')).toEqual([['maxmemory', '104857600']]);
    expect(live.get('warm-up')).toEqual([['warm-up', 'yes']]);
  });

  it('matches glob patterns without case', () => {
    const names = live.get('MAXMEM*').map(([name]) => name);
    expect(names).toEqual([
      'maxmemory',
      'maxmemory-policy',
      'maxmemory-samples',
      'maxmemory-clients',
    ]);
    expect(live.get('[kt]imeout')).toEqual([['timeout', '0']]);
  });

  it('shows startup options and what redis-benchmark asks for', () => {
    expect(live.get('port')).toEqual([['port', '7001']]);
    expect(live.get('save')).toEqual([['save', '']]);
    expect(live.get('appendonly')).toEqual([['appendonly', 'no']]);
    expect(live.get('nothing')).toEqual([]);
  });
});

describe('CONFIG REWRITE', () => {
  it('without a file replies as Redis does', async () => {
    await expect(live.rewrite()).rejects.toThrow('The server is running without a config file');
  });

  it('writes what was changed under the spelling of the file, and keeps the rest', async () => {
    const text = '{"maxMemory":"1mb","port":7009,"policies":[{"prefix":"a:"}]}';
    disk.files.set('c.json', text);
    const config = loadConfig({ file: { path: 'c.json', text } });
    const rewritable = createLiveConfig(config, disk);
    rewritable.set([
      ['maxmemory', '2mb'],
      ['timeout', '3'],
    ]);
    await rewritable.rewrite();
    const written = disk.files.get('c.json')!;
    expect(JSON.parse(written)).toEqual({
      maxMemory: '2097152',
      port: 7009,
      policies: [{ prefix: 'a:' }],
      timeout: '3',
    });
    expect(loadConfig({ file: { path: 'c.json', text: written } }).initial.timeout).toBe(3);
  });

  it('says why when the file cannot be written', async () => {
    disk.replaceText = () => Promise.reject(new Error('EROFS: read-only file system'));
    const config = loadConfig({ file: { path: 'c.json', text: '{}' } });
    await expect(createLiveConfig(config, disk).rewrite()).rejects.toThrow(
      'Rewriting config file: EROFS: read-only file system',
    );
  });
});
