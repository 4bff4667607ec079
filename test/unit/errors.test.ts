import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as errors from '../../src/errors.ts';

const PAGE = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const SOURCE = readFileSync(new URL('../../src/errors.ts', import.meta.url), 'utf8');

/** Code and meaning of each row of the page's table. */
const documented = [...PAGE.matchAll(/^\| `([A-Z]+)` \| (.+?) \|/gm)].map((match) => ({
  code: match[1],
  meaning: match[2],
}));

describe('the catalogue of errors', () => {
  test('every code is unique and a word of capitals, as clients expect a prefix', () => {
    const spelled = [...SOURCE.matchAll(/^ {2}([A-Z]+): '/gm)].map((match) => match[1]);
    expect(new Set(spelled).size).toBe(spelled.length);
    expect(spelled).toEqual(Object.keys(errors.ERROR_CODES));
  });

  test('docs/errors.md explains each code once, with the meaning the catalogue gives it', () => {
    const catalogue = Object.entries(errors.ERROR_CODES).map(([code, meaning]) => ({
      code,
      meaning,
    }));
    expect(documented).toEqual(catalogue);
  });

  test('every ready-made error bears a code of the catalogue', () => {
    const made = Object.values(errors)
      .filter((value) => typeof value === 'function' && value.length === 0)
      .map((make) => (make as () => unknown)());
    expect(made.length).toBeGreaterThan(0);
    for (const error of made) {
      expect(error).toBeInstanceOf(errors.ReplyError);
      expect(Object.keys(errors.ERROR_CODES)).toContain((error as errors.ReplyError).code);
    }
  });
});
