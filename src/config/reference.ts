/** The reference page and the JSON schema of the configuration file, from the option table. */
import { ENV_PREFIX } from './load.ts';
import { FIXED_REDIS_NAMES, GROUPS, OPTION_ROWS, PROFILES, type OptionRow } from './options.ts';
import { showBytes } from './units.ts';

type Row = OptionRow<unknown> & { readonly mutable: boolean };

/** `RINGFENCE_MAXMEMORY_POLICY` for `maxmemory-policy`. */
export function envName(row: { readonly name: string }): string {
  return ENV_PREFIX + row.name.toUpperCase().replaceAll('-', '_');
}

/** The default as text, for the reference page and `--help`. */
export function defaultText(row: Row): string {
  if (row.defaultText !== undefined) return row.defaultText;
  if (row.type.kind === 'bytes') return showBytes(row.default as number);
  const shown = row.type.show(row.default);
  return shown === '' ? 'empty' : shown;
}

const PREFACE = `# Configuration

<!-- Generated from src/config/options.ts by scripts/generate-docs.ts; do not edit. -->

Every option can be given as a flag (\`--lease-ms 2000\`), in the environment (\`RINGFENCE_LEASE_MS=2000\`) and in
the file \`ringfence.config.json\` (\`"leaseMs": 2000\`). Flags win over the environment, the environment over the file,
the file over the defaults. Names compare without case, dashes and underscores: \`--maxmemory\`, \`--max-memory\`,
\`RINGFENCE_MAX_MEMORY\` and \`"maxMemory"\` are the same option.

Sizes are bytes, or a number with \`b\`, \`k\` (1000), \`kb\` (1024), \`m\`, \`mb\`, \`g\`, \`gb\`. Times are in the unit the
name or the table says; options in milliseconds also accept \`1500ms\`, \`1.5s\`, \`2m\`. A wrong or unknown option stops the
start, and all that is wrong is listed at once (unknown \`RINGFENCE_\` variables only warn).

Options marked *live* can be changed with \`CONFIG SET\` while the node runs; \`CONFIG REWRITE\` puts such changes into
the file. The others are read at the start. Both are shown by \`CONFIG GET\`.
`;

const POLICIES = `## Policies by prefix

The file's \`policies\` say what keys with a prefix get. The longest prefix that a key begins with decides; \`""\` stands
for all other keys. Without any, keys are persistent, have no default time to live and no legacy source.

\`\`\`json
{
  "policies": [
    { "prefix": "session:", "persist": "none", "ttl": "30m" },
    {
      "prefix": "user:",
      "persist": "through",
      "legacy": { "url": "http://legacy:8001/legacy/data/{key}", "value": "/value", "ttl": "1h", "negativeTtl": "30s" }
    }
  ]
}
\`\`\`

Durations are text with a unit (\`ms\`, \`s\`, \`m\`, \`h\`, \`d\`) or \`"forever"\`.

| field | default | meaning |
|---|---|---|
| \`prefix\` | required | the beginning of the keys |
| \`persist\` | \`through\` | \`through\`: in PostgreSQL before a write is acknowledged; \`none\`: in memory only |
| \`ttl\` | none | time to live of a key that is written without one |
| \`tombstone\` | as \`negativeTtl\` | how long a deleted key is not asked for at the legacy source again |
| \`legacy.url\` | required | address, with \`{key}\` (the key, percent-encoded) or \`{suffix}\` (the key without the prefix) |
| \`legacy.headers\` | none | request headers, such as \`authorization\` |
| \`legacy.value\` | the whole answer | JSON pointer to the value. Strings become their UTF-8 bytes, numbers and booleans text, objects and arrays JSON text; \`null\` means there is no such key |
| \`legacy.ttl\` | as \`ttl\` | time to live of a fetched value |
| \`legacy.negativeTtl\` | \`30s\` | how long "no such key" (404, 410, \`null\`) is remembered |
| \`legacy.timeout\` | \`2s\` | bound of one call |
| \`legacy.retries\` | \`1\` | further calls after a refused connection or a status from 500 |
| \`legacy.concurrency\` | \`legacy-concurrency\` | calls at once from one node |
| \`legacy.bodyMax\` | \`8mb\` | longest answer that is read |
| \`legacy.breaker.failures\` | \`5\` | failures in a row (no connection, no answer in time, status 429 or from 500) after which calls pause |
| \`legacy.breaker.reset\` | \`5s\` | length of that pause; then a single call tries again |
`;

/** docs/configuration.md */
export function configurationPage(): string {
  const sections = GROUPS.map((group) => {
    const rows = OPTION_ROWS.filter(([, row]) => row.group === group);
    const lines = rows.map(([, row]) => tableLine(row));
    return `## ${group}\n\n| option | default | accepts | |\n|---|---|---|---|\n${lines.join('\n')}\n`;
  });
  return [PREFACE, ...sections, profiles(), POLICIES, fixedNames()].join('\n');
}

function tableLine(row: Row): string {
  const when = row.mutable ? ' *Live.*' : '';
  return `| \`${row.name}\` | ${defaultText(row)} | ${row.type.accepts.replaceAll('|', '\\|')} | ${row.help}${when} |`;
}

function profiles(): string {
  const rows = OPTION_ROWS.filter(([, row]) => row.byProfile !== undefined);
  const lines = rows.map(([, row]) => {
    const values = PROFILES.map((profile) =>
      row.type.show(row.byProfile?.[profile] ?? row.default),
    );
    return `| \`${row.name}\` | ${values.join(' | ')} |`;
  });
  const head = `| option | ${PROFILES.join(' | ')} |\n|---|${'---|'.repeat(PROFILES.length)}`;
  return `## Profiles\n\nThe option \`profile\` sets the defaults of the timers, and of who orders the writes.\n\n${head}\n${lines.join('\n')}\n`;
}

function fixedNames(): string {
  const lines = FIXED_REDIS_NAMES.map(
    ([name, value]) => `| \`${name}\` | ${value === '' ? 'empty' : value} |`,
  );
  return `## Names of Redis that are fixed here\n\n\`CONFIG GET\` answers them, because tools ask; \`CONFIG SET\` accepts only the value they have.\n\n| option | value |\n|---|---|\n${lines.join('\n')}\n`;
}

/** ringfence.schema.json, for editors. Names in camelCase; the program accepts other spellings too. */
export function configurationSchema(): Record<string, unknown> {
  const properties: Record<string, unknown> = { $schema: { type: 'string' } };
  for (const [key, row] of OPTION_ROWS) properties[key] = optionSchema(row);
  properties['policies'] = { type: 'array', maxItems: 1000, items: POLICY_SCHEMA };
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'ringfence.config.json',
    type: 'object',
    properties,
    additionalProperties: false,
  };
}

function optionSchema(row: Row): Record<string, unknown> {
  return { description: `${row.help} Default: ${defaultText(row)}.`, ...row.type.schema };
}

const DURATION = { type: 'string', pattern: '^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$' };
const DURATION_OR_FOREVER = { anyOf: [DURATION, { const: 'forever' }] };

const POLICY_SCHEMA = {
  type: 'object',
  required: ['prefix'],
  additionalProperties: false,
  properties: {
    prefix: { type: 'string' },
    persist: { enum: ['through', 'none'] },
    ttl: DURATION_OR_FOREVER,
    tombstone: DURATION_OR_FOREVER,
    legacy: {
      type: 'object',
      required: ['url'],
      additionalProperties: false,
      properties: {
        url: { type: 'string', pattern: '^https?://.*\\{(key|suffix)\\}' },
        headers: { type: 'object', additionalProperties: { type: 'string' } },
        value: { type: 'string', pattern: '^(|/([^~]|~[01])*)$' },
        ttl: DURATION_OR_FOREVER,
        negativeTtl: DURATION_OR_FOREVER,
        timeout: DURATION,
        retries: { type: 'integer', minimum: 0, maximum: 5 },
        concurrency: { type: 'integer', minimum: 1, maximum: 1024 },
        bodyMax: { anyOf: [{ type: 'integer', minimum: 1 }, { type: 'string' }] },
        breaker: {
          type: 'object',
          additionalProperties: false,
          properties: {
            failures: { type: 'integer', minimum: 1, maximum: 10_000 },
            reset: DURATION,
          },
        },
      },
    },
  },
};
