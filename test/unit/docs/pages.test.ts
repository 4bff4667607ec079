import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findOption } from '../../../src/config/options.ts';
import { anchors, codeSpans, links, pages, read, ROOT } from './markdown.ts';

describe.each(pages())('%s', (page) => {
  test('every link leads to a file, and to a heading in it', () => {
    const broken = links(page).filter(({ path, anchor }) => {
      if (!existsSync(join(ROOT, path))) return true;
      return anchor !== '' && !anchors(read(path)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  test('every file of the source that it names exists', () => {
    const named = codeSpans(read(page)).filter((span) =>
      /^(src|test|docs|scripts|chaos|bench|deploy)\/[\w./-]+$/.test(span),
    );
    // What a run or a build makes is not there in a fresh clone.
    const missing = named.filter(
      (path) => !path.startsWith('bench/results') && !existsSync(join(ROOT, path)),
    );
    expect(missing).toEqual([]);
  });

  test('every environment variable that it names is an option or one of the program', () => {
    const own = new Set(['CONFIG', 'CLI_PASSWORD', 'REQUIRE_TOOLS', 'TEST_TARGET', 'TEST_RULES']);
    const unknown = [...read(page).matchAll(/RINGFENCE_([A-Z_]+)/g)]
      .map(([, name = '']) => name)
      .filter((name) => name !== '' && !own.has(name) && findOption(name) === undefined);
    expect(unknown).toEqual([]);
  });
});

describe('docs/ARCHITECTURE.md', () => {
  test('every file of src/cluster has its place in it', () => {
    const spans = new Set(codeSpans(read('docs/ARCHITECTURE.md')));
    const files = readdirSync(join(ROOT, 'src/cluster')).map((name) => `src/cluster/${name}`);
    expect(files.filter((file) => !spans.has(file))).toEqual([]);
  });
});

describe('docs/adr', () => {
  test('numbers run from 1 without gaps, and each page has the four parts', () => {
    const names = readdirSync(join(ROOT, 'docs/adr')).sort();
    expect(names.map((name) => Number(name.slice(0, 4)))).toEqual(names.map((_, i) => i + 1));
    for (const [i, name] of names.entries()) {
      const text = read(join('docs/adr', name));
      expect(text, name).toMatch(new RegExp(`^# ${i + 1}\\. `));
      for (const part of ['Context', 'Decision', 'Consequences']) {
        expect(anchors(text), name).toContain(part.toLowerCase());
      }
    }
  });
});
