/** Do the legacy sources of the policies answer? */
import type { Policy } from '../../config/policies.ts';
import { messageOf } from '../program.ts';
import { fail, type Finding, ok, warn } from './finding.ts';

/** A name that no source is likely to have: 404 is as good an answer as any. */
const PROBE = 'ringfence-doctor';

export async function checkLegacy(policies: readonly Policy[]): Promise<Finding[]> {
  const findings = await Promise.all(policies.map(checkPolicy));
  return findings.flat();
}

async function checkPolicy({ prefix, legacy }: Policy): Promise<Finding[]> {
  if (legacy === null) return [];
  const url = legacy.url
    .replaceAll('{key}', encodeURIComponent(prefix + PROBE))
    .replaceAll('{suffix}', PROBE);
  const about = `source of '${prefix}'`;
  const startedAtMs = Date.now();
  try {
    const response = await fetch(url, {
      headers: legacy.headers,
      signal: AbortSignal.timeout(legacy.timeoutMs),
    });
    await response.body?.cancel();
    const tookMs = Date.now() - startedAtMs;
    const text = `${about} answered ${response.status} in ${tookMs} ms`;
    if (response.status === 401 || response.status === 403) {
      return [fail('legacy', text, "check the policy's headers")];
    }
    if (response.status >= 500) return [fail('legacy', text, 'see the log of the legacy system')];
    if (tookMs * 2 > legacy.timeoutMs) {
      return [warn('legacy', `${text}; its timeout is ${legacy.timeoutMs} ms`, 'raise timeout')];
    }
    return [ok('legacy', text)];
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const text = `${about} does not answer: ${messageOf(cause)}`;
    return [fail('legacy', text, `can this machine reach ${new URL(url).origin}?`)];
  }
}
