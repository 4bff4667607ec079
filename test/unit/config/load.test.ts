import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig, type ConfigSources } from '../../../src/config/load.ts';

function problemsOf(sources: ConfigSources): readonly string[] {
  try {
    loadConfig(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const file = (content: unknown): { path: string; text: string } => ({
  path: 'ringfence.config.json',
  text: JSON.stringify(content),
});

describe('loadConfig', () => {
  it('without any source gives the documented defaults', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({
      nodeId: 'node-1',
      bind: '127.0.0.1',
      port: 7001,
      linkPort: 17_001,
      httpPort: 8081,
      replicas: 3,
      tokens: 128,
      leaseMs: 1500,
      filePath: null,
      warnings: [],
    });
    expect(config.initial.maxmemoryPolicy).toBe('allkeys-lru');
  });

  it('prefers flags to the environment, the environment to the file, the file to the profile', () => {
    const content = file({ profile: 'wan', leaseMs: 7000, tokens: 1, replicas: 2 });
    const config = loadConfig({
      file: content,
      env: { RINGFENCE_TOKENS: '2', RINGFENCE_REPLICAS: '4' },
      flags: { replicas: '5' },
    });
    expect(config).toMatchObject({
      leaseMs: 7000,
      requestTimeoutMs: 20_000,
      tokens: 2,
      replicas: 5,
    });
  });

  it.each([
    ['flag as Redis spells it', { flags: { maxmemory: '1mb' } }],
    ['flag with a dash', { flags: { 'max-memory': '1mb' } }],
    ['environment with underscore', { env: { RINGFENCE_MAX_MEMORY: '1mb' } }],
    ['environment without underscore', { env: { RINGFENCE_MAXMEMORY: '1mb' } }],
    ['camelCase in the file', { file: file({ maxMemory: '1mb' }) }],
    ['number in the file', { file: file({ maxmemory: 1_048_576 }) }],
  ] satisfies [string, ConfigSources][])('understands maxmemory as %s', (_, sources) => {
    expect(loadConfig(sources).initial.maxmemory).toBe(1_048_576);
  });

  it.each([
    [true, true],
    ['yes', true],
    ['0', false],
    ['no', false],
  ] as const)('reads the flag --warm-up %s as %s', (given, expected) => {
    expect(loadConfig({ flags: { 'warm-up': given } }).warmUp).toBe(expected);
  });

  it('accepts durations with a unit for milliseconds', () => {
    expect(loadConfig({ flags: { 'lease-ms': '2s' } }).leaseMs).toBe(2000);
  });

  it('reports every problem of every source at once, with value, origin and accepted range', () => {
    const problems = problemsOf({
      flags: { port: '70000', 'no-such': 'x', replicas: true },
      env: { RINGFENCE_MAXMEMORY: 'lots' },
      file: file({ tokens: 'many', policies: [{ prefix: 'a', ttl: '5' }], colour: 'red' }),
    });
    expect(problems).toEqual([
      'colour in ringfence.config.json is not an option',
      '--no-such is not an option',
      'tokens in ringfence.config.json is "many"; it accepts a whole number from 1 to 4096',
      'RINGFENCE_MAXMEMORY in the environment is "lots"; it accepts bytes, 0 or more, such as 1024, 64kb, 100mb or 1gb',
      '--port is "70000"; it accepts a whole number from 0 to 65535',
      '--replicas is without a value; it accepts a whole number from 1 to 16',
      expect.stringContaining('policies[0].ttl is "5", must be a duration'),
    ]);
  });

  it('does not repeat secrets in messages', () => {
    const [problem] = problemsOf({ env: { RINGFENCE_STORE: 'mysql://me:hunter2@db/x' } });
    expect(problem).toContain('RINGFENCE_STORE');
    expect(problem).not.toContain('hunter2');
  });

  it('warns of environment variables that are no options, and knows those of the program itself', () => {
    const env = { RINGFENCE_PROT: '1', RINGFENCE_DIR: '/x', HOME: '/root' };
    expect(loadConfig({ env }).warnings).toEqual([
      'RINGFENCE_PROT in the environment is not an option',
    ]);
  });

  it.each([
    [
      'margin too wide',
      { 'lease-margin-ms': '500' },
      /lease-margin-ms is 500; it must be less than a third/,
    ],
    [
      'database slower than a lease',
      { 'store-timeout-ms': '1500' },
      /store-timeout-ms is 1500; it must be less/,
    ],
    [
      'impatient requests',
      { 'request-timeout-ms': '3000' },
      /request-timeout-ms is 3000; it must exceed two leases/,
    ],
    ['no address to announce', { bind: '0.0.0.0' }, /announce-host is empty; it must be given/],
    ['no room for the link port', { port: '60000' }, /link-port is 70000; it is port \+ 10000/],
    ['one port twice', { 'link-port': '7001' }, /link-port is 7001; it must differ/],
    ['http on the client port', { 'http-port': '7001' }, /http-port is 7001; it must differ/],
    [
      'clock bound over the lease',
      { 'clock-bound-ms': '2000' },
      /clock-bound-ms is 2000; it must be less/,
    ],
  ])('refuses options that do not fit together: %s', (_, flags, expected) => {
    expect(problemsOf({ flags })).toEqual([expect.stringMatching(expected)]);
  });

  it('derives addresses, zone and link port from what was given', () => {
    const config = loadConfig({
      flags: { bind: '0.0.0.0', 'announce-host': 'node2', port: '7100' },
    });
    expect(config).toMatchObject({
      linkBind: '0.0.0.0',
      httpBind: '0.0.0.0',
      zone: 'node2',
      linkPort: 17_100,
    });
    expect(loadConfig({ flags: { port: '0' } }).linkPort).toBe(0);
  });

  it.each([
    ['broken JSON', '{', /is not valid JSON/],
    ['a list', '[]', /must hold one JSON object/],
    [
      'one option under two names',
      '{"maxmemory":1,"max-memory":2}',
      /is the same option as maxmemory/,
    ],
  ])('refuses a file with %s', (_, text, expected) => {
    expect(problemsOf({ file: { path: 'c.json', text } })).toEqual([
      expect.stringMatching(expected),
    ]);
  });

  it('is frozen all the way down', () => {
    const legacy = { url: 'http://h/{key}', headers: { a: 'b' } };
    const config = loadConfig({ file: file({ policies: [{ prefix: 'u:', legacy }] }) });
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' ||
      value === null ||
      (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(config)).toBe(true);
  });
});
