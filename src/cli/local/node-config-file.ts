/**
 * The configuration file that a local cluster's nodes read: the user's own `ringfence.config.json`,
 * if there is one, plus a policy for the legacy API, which only `ringfence up` knows the address of.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { messageOf, PlainError } from '../program.ts';

const SAMPLE_PREFIX = 'user:';

interface FileShape {
  policies?: unknown;
  [option: string]: unknown;
}

/** Writes `target`. `legacyUrl` is a template with {key}; undefined leaves the policies alone. */
export function writeNodeConfigFile({
  userFile,
  target,
  legacyUrl,
}: {
  userFile: string;
  target: string;
  legacyUrl: string | undefined;
}): void {
  const file = existsSync(userFile) ? readUserFile(userFile) : {};
  if (legacyUrl !== undefined) file.policies = withLegacyPolicy(file.policies, legacyUrl);
  writeFileSync(target, `${JSON.stringify(file, null, 2)}\n`);
}

function readUserFile(userFile: string): FileShape {
  try {
    const value: unknown = JSON.parse(readFileSync(userFile, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return { ...value };
    }
  } catch (error) {
    throw new PlainError(`${userFile}: ${messageOf(error)}`);
  }
  throw new PlainError(`${userFile} must hold a JSON object`);
}

/** A policy that the user wrote for the prefix wins; anything malformed is left for the node to name. */
function withLegacyPolicy(policies: unknown, url: string): unknown {
  if (policies !== undefined && !Array.isArray(policies)) return policies;
  const own: unknown[] = policies ?? [];
  const isOurs = (policy: unknown): boolean =>
    typeof policy === 'object' &&
    policy !== null &&
    'prefix' in policy &&
    policy.prefix === SAMPLE_PREFIX;
  if (own.some(isOurs)) return own;
  const legacy = { url, value: '/value', ttl: '1h', negativeTtl: '30s' };
  return [...own, { prefix: SAMPLE_PREFIX, persist: 'through', legacy }];
}
