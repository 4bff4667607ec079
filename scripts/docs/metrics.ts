// docs/metrics.md, from the tables of metrics.
import type { MetricFacts } from '../../src/http/metrics/facts.ts';
import type { Metric } from '../../src/http/metrics/metric.ts';
import { METRIC_GROUPS } from '../../src/http/metrics/registry.ts';

const PREFACE = `# Metrics

<!-- Generated from src/http/metrics by scripts/generate-docs.ts; changes by hand are lost. -->

\`GET /metrics\` on the HTTP port of each node answers in the text format of Prometheus (version 0.0.4). It is always there and
has no option: the numbers are kept anyway, and an answer costs a few passes over the slots, none over keys.
[operations.md](operations.md#metrics) has a configuration for a scraper, and what to look at first.

Each node tells what it sees itself. A sum over all nodes counts a key once for each node that holds it.

Counters begin at 0 with the process. Those about memory, the database and hand-over begin anew also when the node does (the
others had removed it), and those about clients and commands after \`CONFIG RESETSTAT\`; \`rate()\` takes that into account. Where there
is nothing to tell (no hand-over, no life of the node yet) there is no sample. Latencies are not measured: two looks at the clock
would cost a command as much as running a small one does. Clients know theirs; \`ringfence_command_seconds_total\` says
where the event loop's time goes.
`;

/** The page as it should be on disk. */
export function metricsPage(): string {
  const sections = METRIC_GROUPS.map(({ title, metrics }) => {
    const head = '| metric | type | labels | |\n|---|---|---|---|';
    return `## ${title}\n\n${head}\n${metrics.map(row).join('\n')}\n`;
  });
  return [PREFACE, ...sections].join('\n');
}

function row({ name, kind, labels, help }: Metric<MetricFacts>): string {
  const names = labels.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${kind} | ${names} | ${help} |`;
}
