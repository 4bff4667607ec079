/** All broken builds. */
import { BROKEN_BUILDS } from './builds.ts';
import { COMMIT_RULES } from './commits.ts';
import { LINK_RULES } from './links.ts';
import { nameOf, type Rule } from './rule.ts';
import { STORAGE_RULES } from './storage.ts';
import { TRANSACTION_RULES } from './transactions.ts';
import { VIEW_RULES } from './views.ts';

/** Rules of rows that the simulated cluster keeps. */
export const CLUSTER_RULES: readonly Rule[] = [
  ...COMMIT_RULES,
  ...VIEW_RULES,
  ...LINK_RULES,
  ...TRANSACTION_RULES,
];

/** Whatever the simulator loads: it can be run without each of them. */
export const SIMULATED_RULES: readonly Rule[] = [...BROKEN_BUILDS, ...CLUSTER_RULES];

/** Rules that only a real PostgreSQL can show. */
export { STORAGE_RULES };

/** A rule that the simulator can be run without. Throws when there is none of that name. */
export function simulatedRule(name: string): Rule {
  const rule = SIMULATED_RULES.find((each) => nameOf(each) === name);
  if (rule === undefined) throw new Error(`there is no rule '${name}'; see --broken list`);
  return rule;
}
