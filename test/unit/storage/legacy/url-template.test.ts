import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileTemplate, encodeBytes } from '../../../../src/storage/legacy/url-template.ts';

describe('compileTemplate', () => {
  it.each([
    ['http://h:8001/data/{key}', 'user:1', '/data/user:1'],
    ['http://h:8001/data/{suffix}?v=1', 'user:1', '/data/1?v=1'],
    ['http://h:8001?id={suffix}&k={key}#top', 'user:1', '/?id=1&k=user:1'],
    ['http://h:8001/data/{key}', 'user:a/b?c#d e', '/data/user:a%2Fb%3Fc%23d%20e'],
    ['http://h:8001/data/{key}', 'user:\x00\xff\r\n', '/data/user:%00%FF%0D%0A'],
  ])('%s with %j', (url, key, path) => {
    expect(compileTemplate(url)(key, 'user:')).toEqual({ origin: 'http://h:8001', path });
  });

  it.each([
    ['a dot segment', 'user:..'],
    ['a single dot', 'user:.'],
    ['a key longer than a URL may be', `user:${'x'.repeat(9000)}`],
    ['a key that gets too long when encoded', `user:${'\xff'.repeat(4000)}`],
  ])('refuses %s', (_, key) => {
    expect(compileTemplate('http://h/data/{suffix}')(key, 'user:')).toBeNull();
  });

  it('leaves a dot in a name alone', () => {
    expect(compileTemplate('http://h/{suffix}')('user:a.b', 'user:')?.path).toBe('/a.b');
  });
});

describe('encodeBytes', () => {
  it('decodes back to the same bytes', () => {
    const binary = fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('latin1'));
    fc.assert(
      fc.property(binary, (key) => {
        const decoded = encodeBytes(key).replace(/%([0-9A-F]{2})/g, (_, hex: string) =>
          String.fromCharCode(parseInt(hex, 16)),
        );
        expect(decoded).toBe(key);
      }),
    );
  });
});
