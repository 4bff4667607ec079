/** From a route to targets: which node gets which keys, by what the cluster itself says. */
import { Redis } from 'ioredis';
import type { Route } from '../load.ts';
import type { Target } from './request.ts';

/** One line of CLUSTER SLOTS: the ports of a range's owners, the primary first. */
export interface SlotRange {
  readonly from: number;
  readonly to: number;
  readonly owners: readonly number[];
}

/** `ports`: the nodes, the one first that plain clients talk to. Throws when no slot fits. */
export function targetsOf(
  route: Route,
  ports: readonly number[],
  ranges: readonly SlotRange[],
): Target[] {
  const [first] = ports;
  if (first === undefined) throw new Error('there is no node to send to');
  if (route === 'any') return [{ port: first }];
  if (route === 'everywhere') return ports.map((port) => ({ port }));
  if (route === 'primaries') {
    return ports.map((port) => slotsWhere(port, ranges, ({ owners }) => owners[0] === port));
  }
  const owned = route === 'owned';
  return [slotsWhere(first, ranges, ({ owners }) => owners.includes(first) === owned)];
}

function slotsWhere(
  port: number,
  ranges: readonly SlotRange[],
  fits: (range: SlotRange) => boolean,
): Target {
  const slots = ranges.filter(fits).map(({ from, to }) => [from, to] as const);
  if (slots.length === 0) throw new Error(`port ${port} has no slot for this route`);
  return { port, slots };
}

export async function readSlots(port: number): Promise<SlotRange[]> {
  const redis = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: 0 });
  try {
    return parseSlots(await redis.call('CLUSTER', 'SLOTS'));
  } finally {
    redis.disconnect();
  }
}

/** Parses the reply of CLUSTER SLOTS: `[from, to, [host, port, ...], ...]` for each range. */
export function parseSlots(reply: unknown): SlotRange[] {
  return (reply as [number, number, ...[string, number][]][]).map(([from, to, ...owners]) => ({
    from,
    to,
    owners: owners.map(([, port]) => port),
  }));
}
