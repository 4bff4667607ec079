/**
 * `/healthz` and `/readyz`: the two questions that process managers and load balancers ask.
 *
 * Alive (`/healthz`) means that the event loop turns: whoever restarts dead processes must not do so
 * because the database is away, as a restart would throw a warm memory away and help nobody. Ready
 * (`/readyz`) means that clients should be sent here, and says why not.
 */
import type { Answer, Route } from './routes.ts';

/** What the node says of itself at the moment it is asked. */
export interface Health {
  /** A settled member with a lease, its links up and its slots active. */
  readonly ready: boolean;
  /** Why it is not ready, or what is wrong although it is; one plain sentence each. */
  readonly reasons: readonly string[];
  /** Numbers and names for people and scripts; plain JSON. */
  readonly details: object;
}

/** The routes by path. `health` is asked anew for every request. */
export function healthRoutes(health: () => Health): [path: string, route: Route][] {
  return [
    ['/healthz', () => alive(health())],
    ['/readyz', () => readiness(health())],
  ];
}

function alive({ details }: Health): Answer {
  return { status: 200, body: { status: 'ok', details } };
}

// `reasons` come before the details: who shows only the beginning of the answer shows those.
function readiness({ ready, reasons, details }: Health): Answer {
  return { status: ready ? 200 : 503, body: { ready, reasons, details } };
}
