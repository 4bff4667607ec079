/**
 * The ring: where slots live. A pure function of a member list, so that every node computes the same
 * table from the same view and nobody has to ask.
 *
 * A node holds `tokens` points, each at a slot position hashed from its stable id; the owners of a
 * slot are the first N distinct nodes clockwise from it. Because points sit on whole slots, owners
 * change only at points, and ranges stay contiguous, which keeps CLUSTER SLOTS short.
 */
import type { Member } from '../storage/postgres/store.ts';
import { SLOT_COUNT } from './slot.ts';

interface Token {
  readonly position: number;
  readonly tieBreak: number;
  readonly member: Member;
}

/** 32-bit FNV-1a with a final avalanche (murmur3's), enough to spread tokens evenly. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Owners of every slot, primary first: one array per distinct list, shared by all its slots. */
export type OwnerTable = readonly (readonly Member[])[];

/** Tables computed lately, oldest first: a view mostly has one list in common with the view before. */
const recent = new Map<string, OwnerTable>();
const RECENT_MAX = 8;

/**
 * The owners of all slots. `members` may be empty (then no slot has an owner). Distinct zones come
 * first; once there are no new zones left, other nodes clockwise fill up to `replicas`. Remembered for
 * the last few lists, since the event loop stands still while a view is adopted; nobody changes a table.
 */
export function computeOwners(members: readonly Member[], replicas: number): OwnerTable {
  const id = JSON.stringify([members, replicas]);
  const known = recent.get(id);
  const table = known ?? compute(members, replicas);
  recent.delete(id);
  recent.set(id, table);
  const [oldest] = recent.keys();
  if (recent.size > RECENT_MAX && oldest !== undefined) recent.delete(oldest);
  return table;
}

function compute(members: readonly Member[], replicas: number): OwnerTable {
  const tokens = sortedTokens(members);
  const table = new Array<readonly Member[]>(SLOT_COUNT);
  if (tokens.length === 0) return table.fill([]);
  const sizes = { replicas, count: members.length };
  const interned = new Map<string, readonly Member[]>();
  // From the highest slot down: `next` is the first token at or after the slot, wrapping around.
  let next = tokens.length;
  let owners = intern(interned, ownersFrom(tokens, 0, sizes));
  for (let slot = SLOT_COUNT - 1; slot >= 0; slot--) {
    let moved = false;
    while (next > 0 && tokens[next - 1]!.position >= slot) {
      next--;
      moved = true;
    }
    if (moved) owners = intern(interned, ownersFrom(tokens, next, sizes));
    table[slot] = owners;
  }
  return table;
}

function sortedTokens(members: readonly Member[]): Token[] {
  const tokens: Token[] = [];
  for (const member of members) {
    for (let i = 0; i < member.tokens; i++) {
      const hash = hash32(`${member.node}#${i}`);
      tokens.push({ position: hash % SLOT_COUNT, tieBreak: hash >>> 14, member });
    }
  }
  return tokens.sort(
    (a, b) =>
      a.position - b.position ||
      a.tieBreak - b.tieBreak ||
      (a.member.node < b.member.node ? -1 : a.member.node > b.member.node ? 1 : 0),
  );
}

function ownersFrom(
  tokens: readonly Token[],
  start: number,
  { replicas, count }: { replicas: number; count: number },
): Member[] {
  const owners: Member[] = [];
  const zones = new Set<string>();
  const spare: Member[] = [];
  const full = (): boolean => owners.length === replicas || owners.length + spare.length === count;
  for (let i = 0; i < tokens.length && !full(); i++) {
    const { member } = tokens[(start + i) % tokens.length]!;
    if (owners.includes(member) || spare.includes(member)) continue;
    if (zones.has(member.zone)) {
      spare.push(member);
    } else {
      zones.add(member.zone);
      owners.push(member);
    }
  }
  return owners.concat(spare.slice(0, replicas - owners.length));
}

function intern(seen: Map<string, readonly Member[]>, owners: Member[]): readonly Member[] {
  const id = owners.map((m) => `${m.node}/${m.incarnation}`).join(' ');
  const known = seen.get(id);
  if (known !== undefined) return known;
  seen.set(id, owners);
  return owners;
}
