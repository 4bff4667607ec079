/** What the tests of the documents need to read out of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface Block {
  readonly language: string;
  /** The word of the comment in front of the block: `<!-- runs: local -->` gives `runs: local`. */
  readonly mark: string;
  readonly text: string;
}

/** All pages for people, relative to the root. */
export function pages(): string[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs.sort()];
}

export function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

export function blocks(markdown: string): Block[] {
  const found = markdown.matchAll(/(?:<!-- ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$/gms);
  return [...found].map(([, mark = '', language = '', text = '']) => ({ mark, language, text }));
}

/** Words in backticks, outside of blocks. */
export function codeSpans(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```.*?^```$/gms, '');
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, text]) => (text ?? '').replaceAll(/\s+/g, ' '));
}

/** Every line of a shell block, and every span in backticks: where commands can be. */
export function commandLines(markdown: string): string[] {
  const shell = blocks(markdown).filter(({ language }) => language === 'sh' || language === '');
  const lines = shell.flatMap(({ text }) => text.split('\n'));
  return [...lines, ...codeSpans(markdown)].map((line) => line.replace(/\s+# .*$/, '').trim());
}

/** Targets of relative links, as paths from the root, with their anchors. */
export function links(page: string): { path: string; anchor: string }[] {
  const prose = read(page).replaceAll(/^```.*?^```$/gms, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', anchor = ''] = target.split('#');
      const path = file === '' ? page : normalize(join(dirname(page), file));
      return { path: relative('.', path), anchor };
    });
}

/** The anchors that a page offers, as forges make them of headings. */
export function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
