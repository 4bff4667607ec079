import { describe, expect, test } from 'vitest';
import type { Engine } from '../../../src/cluster/engine.ts';
import { Lease } from '../../../src/cluster/lease.ts';
import { slotOf } from '../../../src/cluster/slot.ts';
import { SlotTable } from '../../../src/cluster/slots.ts';
import { ClusterTime } from '../../../src/cluster/time.ts';
import { Upkeep } from '../../../src/cluster/upkeep.ts';
import type { Effect } from '../../../src/storage/memory/effect.ts';
import { Evictor } from '../../../src/storage/memory/eviction.ts';
import { Keyspace } from '../../../src/storage/memory/keyspace.ts';
import type { LoadPool } from '../../../src/storage/postgres/store.ts';
import { QuietLog } from '../../../chaos/sim/log.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { settledView } from './members.ts';

const SELF = { node: 'a', incarnation: '1' };

function setUp(maxmemory: number) {
  const time = new VirtualTime();
  const nowMs = (): number => time.wallMs();
  const random = new SeededRandom(1);
  const keyspace = new Keyspace({ random, nowMs });
  const slots = new SlotTable(SELF);
  const member = { ...SELF, host: 'h', port: 1, linkPort: 2, httpPort: 3, zone: 'z', tokens: 8 };
  slots.adopt(settledView(1, [member], 1));
  const deleted: string[] = [];
  const engine = {
    operations: {
      change: ({ slot, db, key }: Effect) => {
        deleted.push(key);
        keyspace.remove(slot, db, key);
      },
    },
  } as unknown as Engine;
  const upkeep = new Upkeep({
    timers: time,
    log: new QuietLog(),
    keyspace,
    slots,
    engine,
    evictor: new Evictor({ keyspace, random, nowMs, policy: 'allkeys-lru', samples: 5 }),
    lease: new Lease(time, { leaseMs: 1000, marginMs: 100 }),
    time: new ClusterTime(time),
    loads: {} as LoadPool,
    maxmemory: () => maxmemory,
    epoch: () => 1,
    sweep: () => Promise.resolve(0),
  });
  const put = (key: string, persistent: boolean): void => {
    const version = { expiresAtMs: 0, epoch: 0, seq: 0 };
    keyspace.load({
      slot: slotOf(key),
      db: 0,
      key,
      value: 'v'.repeat(100),
      persistent,
      ...version,
    });
  };
  return { upkeep, keyspace, deleted, put };
}

describe('eviction', () => {
  test('takes keys that the database has before keys that live in memory only', () => {
    const { upkeep, keyspace, deleted, put } = setUp(20_000);
    for (let i = 0; i < 20; i++) put(`none:${i}`, false);
    for (let i = 0; i < 2000; i++) {
      put(`through:${i}`, true);
      expect(upkeep.ensureMemory()).toBe(true);
    }
    expect(deleted).toEqual([]);
    for (let i = 0; i < 20; i++) {
      expect(keyspace.find(slotOf(`none:${i}`), 0, `none:${i}`)?.value).toBeTypeOf('string');
    }
    expect(keyspace.usedBytes).toBeLessThanOrEqual(20_000);
  });

  test('takes keys that live in memory only when there are no others, for all owners', () => {
    const { upkeep, keyspace, deleted, put } = setUp(20_000);
    for (let i = 0; i < 500; i++) {
      put(`none:${i}`, false);
      expect(upkeep.ensureMemory()).toBe(true);
    }
    expect(deleted.length).toBeGreaterThan(300);
    expect(keyspace.usedBytes).toBeLessThanOrEqual(20_000);
  });
});
