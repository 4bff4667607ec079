/** All broken builds. */
import { COMMIT_RULES } from './commits.ts';
import { LINK_RULES } from './links.ts';
import type { Rule } from './rule.ts';
import { STORAGE_RULES } from './storage.ts';
import { TRANSACTION_RULES } from './transactions.ts';
import { VIEW_RULES } from './views.ts';

/** Rules that the simulated cluster keeps. */
export const CLUSTER_RULES: readonly Rule[] = [
  ...COMMIT_RULES,
  ...VIEW_RULES,
  ...LINK_RULES,
  ...TRANSACTION_RULES,
];

/** Rules that only a real PostgreSQL can show. */
export { STORAGE_RULES };
