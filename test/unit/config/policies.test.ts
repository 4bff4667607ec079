import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePolicies } from '../../../src/config/parse-policies.ts';
import { createPolicies, DEFAULT_POLICY, type Policy } from '../../../src/config/policies.ts';
import { FOREVER_MS } from '../../../src/config/units.ts';

function parsed(...items: unknown[]): readonly Policy[] {
  const { policies, problems } = parsePolicies(items);
  expect(problems).toEqual([]);
  return policies;
}

describe('policyFor', () => {
  it('without policies gives one shared frozen default', () => {
    const { policyFor } = createPolicies([]);
    expect(policyFor('a')).toBe(DEFAULT_POLICY);
    expect(policyFor('')).toBe(DEFAULT_POLICY);
    expect(Object.isFrozen(DEFAULT_POLICY)).toBe(true);
  });

  it('takes the longest prefix that the key begins with', () => {
    const policies = parsed(
      { prefix: 'user:' },
      { prefix: '' },
      { prefix: 'user:vip:' },
      { prefix: 'u' },
    );
    const { policyFor } = createPolicies(policies);
    const prefixOf = (key: string): string => policyFor(key).prefix;
    expect(['user:1', 'user:vip:1', 'use', 'other', ''].map(prefixOf)).toEqual([
      'user:',
      'user:vip:',
      'u',
      '',
      '',
    ]);
  });

  it('agrees with looking at every prefix', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', '\xff'), maxLength: 4 });
    fc.assert(
      fc.property(fc.uniqueArray(word, { maxLength: 8 }), word, (prefixes, key) => {
        const all = prefixes.map((prefix) => ({ ...DEFAULT_POLICY, prefix }));
        const expected = all
          .filter((policy) => key.startsWith(policy.prefix))
          .sort((a, b) => b.prefix.length - a.prefix.length)[0];
        expect(createPolicies(all).policyFor(key)).toBe(expected ?? DEFAULT_POLICY);
      }),
    );
  });

  it('compares bytes: prefixes of the file are taken as UTF-8', () => {
    const { policyFor } = createPolicies(parsed({ prefix: 'käse:', persist: 'none' }));
    expect(policyFor(Buffer.from('käse:1').toString('latin1')).persistent).toBe(false);
  });
});

describe('parsePolicies', () => {
  it('understands the example of the documentation', () => {
    const [session, user] = parsed(
      { prefix: 'session:', persist: 'none', ttl: '30m' },
      {
        prefix: 'user:',
        persist: 'through',
        legacy: {
          url: 'http://legacy:8001/legacy/data/{key}',
          value: '/value',
          ttl: '1h',
          negativeTtl: '30s',
        },
      },
    );
    expect(session).toMatchObject({ persistent: false, defaultTtlMs: 1_800_000, tombstoneMs: 0 });
    expect(user).toMatchObject({
      persistent: true,
      defaultTtlMs: 0,
      tombstoneMs: 30_000,
      legacy: {
        ttlMs: 3_600_000,
        negativeTtlMs: 30_000,
        timeoutMs: 2000,
        retries: 1,
        concurrency: null,
      },
    });
  });

  it('takes forever as no expiry for values and as a hundred years for what is remembered', () => {
    const legacy = { url: 'http://h/{key}', ttl: 'forever', negativeTtl: '0s' };
    const [policy] = parsed({ prefix: 'a', ttl: 'forever', tombstone: 'forever', legacy });
    expect(policy).toMatchObject({ defaultTtlMs: 0, tombstoneMs: FOREVER_MS });
    expect(policy!.legacy).toMatchObject({ ttlMs: 0, negativeTtlMs: 0 });
  });

  const url = 'http://h/{key}';
  it.each<[string, unknown, string]>([
    ['no list', {}, 'policies must be a list'],
    ['no object', ['x'], 'policies[0] is "x", must be an object'],
    ['no prefix', [{}], 'policies[0].prefix is missing'],
    [
      'same prefix twice',
      [{ prefix: 'a' }, { prefix: 'a' }],
      'policies[1].prefix is the same as that of policies[0]',
    ],
    ['misspelled field', [{ prefix: 'a', tll: '1s' }], 'policies[0].tll is unknown'],
    [
      'behind',
      [{ prefix: 'a', persist: 'behind' }],
      'policies[0].persist is "behind", which is not available yet',
    ],
    ['unknown persist', [{ prefix: 'a', persist: 'maybe' }], 'must be "through" or "none"'],
    [
      'duration without unit',
      [{ prefix: 'a', ttl: 30 }],
      'policies[0].ttl is 30, must be a duration',
    ],
    ['tombstone without use', [{ prefix: 'a', tombstone: '1s' }], 'has no use without legacy'],
    [
      'legacy without url',
      [{ prefix: 'a', legacy: {} }],
      'policies[0].legacy.url is "", must be an http',
    ],
    ['legacy as text', [{ prefix: 'a', legacy: url }], 'must be an object with a url'],
    [
      'url without key',
      [{ prefix: 'a', legacy: { url: 'http://h/x' } }],
      'must have {key} or {suffix}',
    ],
    [
      'key in the host',
      [{ prefix: 'a', legacy: { url: 'http://{key}/x' } }],
      'policies[0].legacy.url',
    ],
    ['other protocol', [{ prefix: 'a', legacy: { url: 'ftp://h/{key}' } }], 'must be an http'],
    [
      'password in the url',
      [{ prefix: 'a', legacy: { url: 'http://u:p@h/{key}' } }],
      'give an authorization header',
    ],
    [
      'pointer without slash',
      [{ prefix: 'a', legacy: { url, value: 'value' } }],
      'must be a JSON pointer',
    ],
    [
      'header with a line break',
      [{ prefix: 'a', legacy: { url, headers: { a: 'b\r\nc' } } }],
      'legacy.headers.a must be',
    ],
    [
      'header name',
      [{ prefix: 'a', legacy: { url, headers: { 'a b': 'c' } } }],
      'is no header name',
    ],
    [
      'too many retries',
      [{ prefix: 'a', legacy: { url, retries: 99 } }],
      'must be a whole number from 0 to 5',
    ],
    [
      'body bound',
      [{ prefix: 'a', legacy: { url, bodyMax: '1tb' } }],
      'must be a size from 1 to 64mb',
    ],
    [
      'timeout forever',
      [{ prefix: 'a', legacy: { url, timeout: 'forever' } }],
      'legacy.timeout is "forever"',
    ],
    [
      'breaker',
      [{ prefix: 'a', legacy: { url, breaker: { failures: 0 } } }],
      'legacy.breaker.failures is 0',
    ],
  ])('refuses %s', (_, given, expected) => {
    const { problems } = parsePolicies(given);
    expect(problems.map(({ path, message }) => `${path} ${message}`)).toEqual([
      expect.stringContaining(expected),
    ]);
  });
});
