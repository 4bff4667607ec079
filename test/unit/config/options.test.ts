import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import {
  FIXED_REDIS_NAMES,
  findOption,
  normalName,
  OPTION_ROWS,
  OPTIONS,
  PROFILES,
} from '../../../src/config/options.ts';

const camelCase = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

describe('the option table', () => {
  it('has rows under the camelCase form of their names', () => {
    for (const [key, row] of OPTION_ROWS) expect(key).toBe(camelCase(row.name));
  });

  it('has names that differ by more than case and dashes', () => {
    const names = [...OPTION_ROWS.map(([, row]) => row.name), ...FIXED_REDIS_NAMES.map(([n]) => n)];
    expect(new Set(names.map(normalName)).size).toBe(names.length);
  });

  it.each(OPTION_ROWS)('accepts the default of %s, in every profile', (_, row) => {
    for (const profile of PROFILES) {
      const value = row.byProfile?.[profile] ?? row.default;
      // The store's text form hides the password; all others read back what they show.
      expect(row.type.parse(row.type.show(value), row.default)).toEqual(value);
    }
  });

  it.each(PROFILES)('has defaults that fit together in the profile %s', (profile) => {
    expect(loadConfig({ flags: { profile } }).profile).toBe(profile);
  });

  it('is found under any spelling', () => {
    expect(findOption('MAX_MEMORY_POLICY')?.[1]).toBe(OPTIONS.maxmemoryPolicy);
    expect(findOption('nothing')).toBeUndefined();
  });

  it('hides the password of the database when shown', () => {
    expect(OPTIONS.store.type.show('postgres://me:secret@db:5432/x')).toBe(
      'postgres://me:***@db:5432/x',
    );
  });
});
