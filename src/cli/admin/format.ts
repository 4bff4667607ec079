/** What `ringfence cluster` prints for people. */
import type { ClusterStatus, HandOver, NodeStatus, ViewSummary } from './types.ts';

const SLOTS = 16_384;

/** Members and settings as the first node sees them, hand-overs and problems of all that answered. */
export function formatStatus(statuses: readonly ClusterStatus[]): string {
  const [first] = statuses;
  if (first === undefined) return 'no node answers';
  const { epoch, replicas, wantedReplicas, lead, moving } = first;
  const wanted = replicas === wantedReplicas ? '' : `, ${wantedReplicas} wanted`;
  const led = lead === null ? '' : `, led by ${lead}`;
  const lines = [
    `view ${epoch}, ${replicas} replicas${wanted}${led}, ${moving ? 'moving' : 'settled'}`,
    ...table([
      ['node', 'address', 'zone', 'weight', 'state', 'primary of', 'owner of'],
      ...first.nodes.map(nodeRow),
    ]),
  ];
  for (const status of statuses) {
    for (const handOver of status.handOvers) lines.push(handOverLine(status.node, handOver));
    for (const problem of status.problems) lines.push(`${status.node}: ${problem}`);
  }
  return lines.join('\n');
}

function nodeRow(node: NodeStatus): string[] {
  const { name, host, port, zone, weight, state, connected, primarySlots, ownedSlots } = node;
  return [
    name,
    `${host}:${port}`,
    zone,
    String(weight),
    connected || state === 'removed' ? state : `${state}, no link`,
    share(primarySlots),
    share(ownedSlots),
  ];
}

function share(slots: number): string {
  return `${slots} (${Math.round((100 * slots) / SLOTS)}%)`;
}

function handOverLine(from: string, { to, slots, filled, bytes, ...rest }: HandOver): string {
  const rate = `${megabytes(bytes)} MB sent, ${megabytes(rest.bytesPerSecond)} MB/s`;
  const slow = rest.slowedBy === null ? '' : `, slowly: ${rest.slowedBy}`;
  return `${from} hands over to ${to}: ${filled} of ${slots} slots, ${rate}${slow}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** One line about everything that is being handed over; undefined when nobody hands over anything. */
export function progressLine(statuses: readonly ClusterStatus[]): string | undefined {
  const all = statuses.flatMap(({ handOvers }) => handOvers);
  if (all.length === 0) return undefined;
  const sum = (of: (handOver: HandOver) => number): number =>
    all.reduce((total, handOver) => total + of(handOver), 0);
  const causes = [...new Set(all.map(({ slowedBy }) => slowedBy))].filter((c) => c !== null);
  const slow = causes.length === 0 ? '' : `, slowly: ${causes.join(', ')}`;
  return (
    `${sum(({ filled }) => filled)} of ${sum(({ slots }) => slots)} slots, ` +
    `${megabytes(sum(({ bytesPerSecond }) => bytesPerSecond))} MB/s${slow}`
  );
}

export function formatViews(views: readonly ViewSummary[]): string {
  return table([
    ['view', 'at', 'replicas', 'settled', 'coming', 'leaving', 'removed'],
    ...views.map(({ epoch, at, replicas, wantedReplicas, settled, coming, leaving, removed }) => [
      String(epoch),
      at,
      replicas === wantedReplicas ? String(replicas) : `${replicas} -> ${wantedReplicas}`,
      settled.join(' '),
      sameNames(settled, coming) ? '=' : coming.join(' '),
      leaving.join(' ') || '-',
      removed.join(' ') || '-',
    ]),
  ]).join('\n');
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}

/** Columns as wide as their longest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
