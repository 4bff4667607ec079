/** The part of the server that commands may use: assembled from clients, configuration, cluster and INFO. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { ClusterPort, ConfigPort, ServerPort, StatsPort } from '../commands/ports.ts';
import type { ClientRegistry } from './clients.ts';
import { infoSections, type InfoSources } from './info.ts';

export interface ServerPortParts {
  readonly clients: ClientRegistry;
  readonly config: ConfigPort;
  readonly cluster: ClusterPort;
  readonly info: InfoSources;
  /** CONFIG RESETSTAT for counters that are kept elsewhere (hits, misses, evictions). */
  resetCounters(): void;
}

/** The only user there is; its password is `requirepass`. */
const DEFAULT_USER = 'default';

export function createServerPort(parts: ServerPortParts): ServerPort {
  const { clients, info } = parts;
  const { settings } = clients;
  const identity = info.identity();
  const sections = infoSections(clients, info);
  const stats: StatsPort = {
    info: () => sections,
    resetStat() {
      clients.stats.reset();
      parts.resetCounters();
    },
  };
  return {
    nowMs: () => info.identity().nowMs(),
    monotonicMs: () => clients.clock.monotonicMs(),
    startedAtMs: identity.startedAtMs,
    sessions: () => clients.sessions(),
    session: (id) => clients.session(id),
    get hasPassword() {
      return settings.requirepass !== '';
    },
    checkPassword: (user, password) =>
      user === DEFAULT_USER && isSecret(password, settings.requirepass),
    config: parts.config,
    cluster: parts.cluster,
    stats,
  };
}

/**
 * Compares without telling by its duration how much of a guess was right, or how long the secret is.
 * `given` is a binary string. The secret is one too when CONFIG SET brought it, and text (UTF-8 for a
 * client) when the file, a flag or the environment did.
 */
function isSecret(given: string, secret: string): boolean {
  const guess = digest(Buffer.from(given, 'latin1'));
  const asText = timingSafeEqual(guess, digest(Buffer.from(secret, 'utf8')));
  const isBinary = !/[^\u0000-\u00ff]/.test(secret);
  const asBytes = isBinary && timingSafeEqual(guess, digest(Buffer.from(secret, 'latin1')));
  return asText || asBytes;
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
