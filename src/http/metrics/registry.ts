/** All metrics of a node, and the route that tells them. */
import type { Route } from '../routes.ts';
import { CLUSTER_METRICS } from './cluster-metrics.ts';
import { DATA_METRICS } from './data-metrics.ts';
import { exposition, EXPOSITION_TYPE } from './exposition.ts';
import type { MetricFacts } from './facts.ts';
import type { MetricGroup } from './metric.ts';
import { SERVER_METRICS } from './server-metrics.ts';

/** In the order of the answer and of `docs/metrics.md`. */
export const METRIC_GROUPS: readonly MetricGroup<MetricFacts>[] = [
  ...SERVER_METRICS,
  ...DATA_METRICS,
  ...CLUSTER_METRICS,
];

const METRICS = METRIC_GROUPS.flatMap(({ metrics }) => metrics);

/** The answer's text for these facts. */
export function metricsText(facts: MetricFacts): string {
  return exposition(METRICS, facts);
}

/** `/metrics`. `facts` is asked anew for every request. */
export function metricsRoute(facts: () => MetricFacts): [path: string, route: Route] {
  return [
    '/metrics',
    () => ({ status: 200, body: metricsText(facts()), contentType: EXPOSITION_TYPE }),
  ];
}
