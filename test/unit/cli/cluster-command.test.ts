import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { clusterCommand } from '../../../src/cli/admin/cluster-command.ts';
import { formatStatus, formatViews, progressLine } from '../../../src/cli/admin/format.ts';
import type { ClusterStatus, HandOver, NodeStatus } from '../../../src/cli/admin/types.ts';
import { UsageError } from '../../../src/cli/flags.ts';
import { PlainError } from '../../../src/cli/program.ts';

function nodeStatus(name: string, rest: Partial<NodeStatus> = {}): NodeStatus {
  const slots = { primarySlots: 8192, ownedSlots: 16_384 };
  const address = { host: '127.0.0.1', port: 1, zone: 'z' };
  return {
    name,
    id: name,
    ...address,
    weight: 128,
    state: 'member',
    connected: true,
    ...slots,
    ...rest,
  };
}

function statusOf(rest: Partial<ClusterStatus> = {}): ClusterStatus {
  return {
    node: 'a',
    epoch: 4,
    replicas: 2,
    wantedReplicas: 2,
    lead: null,
    moving: false,
    nodes: [nodeStatus('a')],
    learning: { slots: 0, left: 0 },
    handOvers: [],
    problems: [],
    ...rest,
  };
}

const HAND_OVER: HandOver = {
  to: 'c',
  slots: 100,
  filled: 25,
  bytes: 5_000_000,
  bytesPerSecond: 1_000_000,
  slowedBy: 'database-slow',
};

/** Answers like a node: what `answers` has for the words, else an error. */
async function fakeNode(
  answers: (words: string) => string,
): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      const parts = chunk.toString().split('\r\n');
      const words = parts.filter((_, i) => i % 2 === 0 && i > 0).join(' ');
      socket.write(answers(words.trim()));
    });
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, server };
}

const bulk = (value: unknown): string => {
  const text = JSON.stringify(value);
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
};

let printed = '';
let servers: Server[] = [];
let dir = '';

beforeEach(() => {
  printed = '';
  servers = [];
  dir = mkdtempSync(join(tmpdir(), 'ringfence-cluster-command-'));
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  for (const server of servers) server.close();
  rmSync(dir, { recursive: true });
});

async function run(answers: (words: string) => string, ...words: string[]): Promise<number> {
  const { port, server } = await fakeNode(answers);
  servers.push(server);
  return clusterCommand.run([...words, '--port', String(port), '--dir', dir]);
}

describe('ringfence cluster status', () => {
  test('shows members and settings, and ends with 0 when all is well', async () => {
    expect(await run(() => bulk(statusOf()), 'status')).toBe(0);
    expect(printed).toContain('view 4, 2 replicas, settled');
    expect(printed).toMatch(/^a +127\.0\.0\.1:1 +z +128 +member +8192 \(50%\) +16384 \(100%\)$/m);
  });

  test('shows who leads', async () => {
    expect(await run(() => bulk(statusOf({ lead: 'b' })), 'status')).toBe(0);
    expect(printed).toContain('view 4, 2 replicas, led by b, settled');
  });

  test('ends with 1 when something is wrong, and says what', async () => {
    const problems = ['no lease: being renewed; serving nothing'];
    expect(await run(() => bulk(statusOf({ problems })), 'status')).toBe(1);
    expect(printed).toContain('a: no lease');
  });

  test('prints JSON when asked to', async () => {
    expect(await run(() => bulk(statusOf()), 'status', '--json')).toBe(0);
    expect(JSON.parse(printed)).toEqual([statusOf()]);
  });

  test('fails plainly when nobody is there, or the node refuses', async () => {
    await expect(clusterCommand.run(['status', '--port', '1'])).rejects.toThrow(PlainError);
    const refused = run(() => '-NOAUTH Authentication required.\r\n', 'status');
    await expect(refused).rejects.toThrow('NOAUTH');
  });
});

describe('ringfence cluster views', () => {
  test('shows who belonged to the cluster, and what was on its way', () => {
    const common = { id: 'x', at: '2026-01-01T00:00:00.000Z', removed: [], leaving: ['b'] };
    const view = { ...common, epoch: 5, replicas: 2, wantedReplicas: 3 };
    const text = formatViews([{ ...view, settled: ['a', 'b'], coming: ['a', 'c'] }]);
    expect(text).toMatch(/^5 +2026\S+ +2 -> 3 +a b +a c +b +-$/m);
  });
});

describe('a change', () => {
  test.each([
    [['replicas', '3'], 'CLUSTER SET-REPLICAS 3', '3 replicas'],
    [['weight', 'a', '64'], 'CLUSTER SET-WEIGHT a 64', 'a has weight 64'],
    [['remove', 'a'], 'CLUSTER LEAVE a', 'a holds nothing any more'],
  ])(
    '%j sends %s, waits for the hand-over and says what is true then',
    async (words, sent, done) => {
      const heard: string[] = [];
      let looks = 0;
      const answer = (line: string): string => {
        heard.push(line);
        if (line !== 'CLUSTER STATUS') return '+OK\r\n';
        // Moving when it is looked at first after the change, settled later.
        return bulk(statusOf({ moving: heard.includes(sent) && looks++ < 2 }));
      };
      expect(await run(answer, ...words)).toBe(0);
      expect(heard).toContain(sent);
      expect(looks).toBeGreaterThan(2);
      expect(printed).toContain(done);
    },
  );

  test('does not wait when told so', async () => {
    const answer = (line: string): string =>
      line === 'CLUSTER STATUS' ? bulk(statusOf({ moving: true })) : '+OK\r\n';
    expect(await run(answer, 'replicas', '3', '--no-wait')).toBe(0);
    expect(printed).toContain('under way');
  });

  test('that the cluster refuses fails with its reason', async () => {
    const answer = (line: string): string =>
      line === 'CLUSTER STATUS' ? bulk(statusOf()) : '-ERR no node would be left\r\n';
    await expect(run(answer, 'remove', 'a')).rejects.toThrow('no node would be left');
  });

  test('add without a local cluster says what to start', async () => {
    writeFileSync(join(dir, 'up.pid'), '999999999\n');
    await expect(clusterCommand.run(['add', '--dir', dir])).rejects.toThrow('ringfence up');
  });
});

test.each([
  [[]],
  [['nosuch']],
  [['toString']],
  [['replicas']],
  [['replicas', '0']],
  [['replicas', 'three']],
  [['weight', 'a']],
  [['weight', 'a', '5000']],
  [['status', 'extra']],
  [['status', '--nosuch']],
])('%j is wrong usage', async (words) => {
  await expect(clusterCommand.run(words)).rejects.toThrow(UsageError);
});

describe('what is shown of a hand-over', () => {
  test('is a line each in the status, and one for all while a command waits', () => {
    const status = statusOf({ moving: true, wantedReplicas: 3, handOvers: [HAND_OVER] });
    const text = formatStatus([status]);
    expect(text).toContain('2 replicas, 3 wanted, moving');
    expect(text).toContain(
      'a hands over to c: 25 of 100 slots, 5.0 MB sent, 1.0 MB/s, slowly: database-slow',
    );
    expect(progressLine([status, status])).toBe('50 of 200 slots, 2.0 MB/s, slowly: database-slow');
    expect(progressLine([statusOf()])).toBeUndefined();
  });
});
