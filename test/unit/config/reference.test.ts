import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OPTION_ROWS } from '../../../src/config/options.ts';
import { configurationPage, envName } from '../../../src/config/reference.ts';
import { GENERATED } from '../../../scripts/generate-docs.ts';

describe('generated files', () => {
  it.each(GENERATED)('$path is what scripts/generate-docs.ts writes', ({ path, content }) => {
    const found = readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
    expect(found).toBe(content());
  });

  it('list every option', () => {
    const page = configurationPage();
    for (const [, row] of OPTION_ROWS) expect(page).toContain(`| \`${row.name}\` |`);
  });

  it('name environment variables after the option', () => {
    expect(envName({ name: 'maxmemory-policy' })).toBe('RINGFENCE_MAXMEMORY_POLICY');
  });
});
