// Lint: type-aware, because an unawaited promise can be a lost write. The per-folder import walls
// draw the picture of docs/ARCHITECTURE.md: a lower folder never imports an upper one.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Folders (below src/) that each folder must not import from. */
const WALLS = {
  platform: ['config', 'resp', 'storage', 'cluster', 'commands', 'server', 'http', 'cli'],
  config: ['resp', 'storage', 'cluster', 'commands', 'server', 'http', 'cli'],
  resp: ['storage', 'cluster', 'commands', 'server', 'http', 'cli'],
  'storage/memory': [
    'resp',
    'storage/postgres',
    'storage/legacy',
    'cluster',
    'commands',
    'server',
    'http',
    'cli',
  ],
  'storage/postgres': [
    'resp',
    'storage/memory',
    'storage/legacy',
    'cluster',
    'commands',
    'server',
    'http',
    'cli',
  ],
  'storage/legacy': [
    'resp',
    'storage/memory',
    'storage/postgres',
    'cluster',
    'commands',
    'server',
    'http',
    'cli',
  ],
  cluster: ['commands', 'server', 'http', 'cli'],
  commands: ['storage/postgres', 'storage/legacy', 'cluster', 'server', 'http', 'cli'],
  server: ['storage', 'http', 'cli'],
  http: ['storage', 'cluster', 'cli'],
  cli: ['storage', 'cluster', 'commands', 'server', 'http'],
};

const wallRules = Object.entries(WALLS).map(([folder, banned]) => ({
  files: [`src/${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: banned.map((b) => `**/${b}/**`),
            message: `src/${folder} must not know this folder.`,
          },
        ],
      },
    ],
  },
}));

/** Where time, randomness, sockets and files may be touched directly. */
const SEAM_FREE = ['src/platform/**', 'src/cli/**', 'src/main.ts'];

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.ringfence/', 'coverage/', 'bench/results/'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      'no-empty': ['error', { allowEmptyCatch: false }],
      'no-control-regex': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: {
      ...tseslint.configs.disableTypeChecked.languageOptions,
      globals: {
        Buffer: 'readonly',
        URL: 'readonly',
        clearInterval: 'readonly',
        console: 'readonly',
        process: 'readonly',
        setInterval: 'readonly',
        setTimeout: 'readonly',
      },
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: SEAM_FREE,
    rules: {
      'no-restricted-globals': [
        'error',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'performance',
        'clearTimeout',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Take a Clock from src/platform.' },
        { object: 'Math', property: 'random', message: 'Take a Random from src/platform.' },
        { object: 'process', property: 'hrtime', message: 'Take a Clock from src/platform.' },
        { object: 'process', property: 'nextTick', message: 'Take Timers from src/platform.' },
      ],
    },
  },
  {
    // Tests may look inside results without narrowing every step; the assertion is the check.
    files: ['test/**/*.ts', 'chaos/**/*.ts', 'bench/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  ...wallRules,
);
