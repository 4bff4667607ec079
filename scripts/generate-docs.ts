// Writes the pages and files that come from tables in the source: `npx tsx scripts/generate-docs.ts`.
// A unit test compares each of them with what would be written.
import { writeFileSync } from 'node:fs';
import { configurationPage, configurationSchema } from '../src/config/reference.ts';
import { commandsPage } from './docs/commands.ts';
import { metricsPage } from './docs/metrics.ts';
import { schedulesPage } from './docs/schedules.ts';

/** Path from the root of the repository, and content. */
export const GENERATED: readonly { readonly path: string; readonly content: () => string }[] = [
  { path: 'docs/commands.md', content: commandsPage },
  { path: 'docs/configuration.md', content: configurationPage },
  { path: 'docs/metrics.md', content: metricsPage },
  { path: 'docs/schedules.md', content: schedulesPage },
  {
    path: 'ringfence.schema.json',
    content: () => shortListsInLine(`${JSON.stringify(configurationSchema(), null, 2)}\n`),
  },
];

/** As the formatter wants it: lists of strings on one line where they fit into 100 columns. */
function shortListsInLine(json: string): string {
  return json.replace(
    /^(.*)\[\n((?: *"[^"\n]*",?\n)+) *\]/gm,
    (whole, head: string, items: string) => {
      const line = `${head}[${items.trim().replace(/\n */g, ' ')}]`;
      return line.length < 100 ? line : whole;
    },
  );
}

if (process.argv[1] === import.meta.filename) {
  const root = new URL('../', import.meta.url);
  for (const { path, content } of GENERATED) {
    writeFileSync(new URL(path, root), content());
    console.log(`wrote ${path}`);
  }
}
