/** GET and MGET the short way: the same replies, state and counters as the ordinary way. */
import { describe, expect, it } from 'vitest';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import type { Platform } from '../../../src/platform/platform.ts';
import { FRAMES_MAX } from '../../../src/resp/frames.ts';
import { createHarness, FakeConnection, type FakeRouter, type Harness } from './harness.ts';

interface Fixture extends Harness {
  readonly connection: FakeConnection;
  readonly time: VirtualTime;
}

function fixture(settings: Parameters<typeof createHarness>[0] = {}): Fixture {
  const time = new VirtualTime();
  const platform = { clock: time, timers: time } as unknown as Platform;
  const harness = createHarness({ ...settings, platform });
  const connection = new FakeConnection(() => time.endTurn());
  harness.server.clients.add(connection);
  harness.router.direct = true;
  harness.router.values.set('0:a', '1');
  harness.router.values.set('0:b', '22');
  return { ...harness, connection, time };
}

const command = (...args: string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;

const A = '$1\r\n1\r\n';
const B = '$2\r\n22\r\n';
const counts = (router: FakeRouter): number[] => router.batches.map(({ count }) => count);

describe('direct reads', () => {
  it('are answered in order with whatever is between them, in one write', () => {
    const { connection, router } = fixture();
    connection.receive(
      command('GET', 'a') +
        command('MGET', 'b', 'a') +
        command('SET', 'c', '3') +
        command('GET', 'c') +
        command('GET', 'missing') +
        'PING\r\n' +
        command('GET', 'b'),
    );
    expect(connection.sent).toBe(`${A}*2\r\n${B}${A}+OK\r\n$1\r\n3\r\n$-1\r\n+PONG\r\n${B}`);
    expect(connection.writes).toBe(1);
    expect(router.submitted).toEqual(['0:SET c', '0:GET missing']);
  });

  it('may be spelled in any letter case', () => {
    const { connection, router } = fixture();
    connection.receive(command('get', 'a') + command('Get', 'a') + command('mGeT', 'a'));
    expect(connection.sent).toBe(`${A}${A}*1\r\n${A}`);
    expect(router.submitted).toEqual([]);
  });

  it('are no commands of another name or number of arguments', () => {
    const { connection, router } = fixture();
    connection.receive(
      command('GETX', 'a') + command('GET') + command('GET', 'a', 'b') + command('MGET'),
    );
    expect(connection.sent.match(/-ERR [^\r]*/g)).toEqual([
      "-ERR unknown command 'GETX', with args beginning with: 'a' ",
      "-ERR wrong number of arguments for 'get' command",
      "-ERR wrong number of arguments for 'get' command",
      "-ERR wrong number of arguments for 'mget' command",
    ]);
    expect(router.batches).toEqual([]);
  });

  it('see the state of their session: its database, and NO-TOUCH', () => {
    const { connection, router } = fixture();
    router.values.set('3:a', 'three');
    connection.receive(command('GET', 'a') + 'SELECT 3\r\nCLIENT NO-TOUCH ON\r\n');
    connection.receive(command('GET', 'a'));
    expect(connection.sent).toContain('$5\r\nthree\r\n');
    expect(router.batches).toMatchObject([
      { db: 0, touches: true },
      { db: 3, touches: false },
    ]);
  });

  it('wait behind commands that are not answered yet', () => {
    const { connection, router, time } = fixture();
    router.holding = true;
    connection.receive(command('SET', 'c', '3') + command('GET', 'a'));
    expect(router.batches).toEqual([]);
    router.releaseAll();
    time.endTurn();
    expect(connection.sent).toBe(`+OK\r\n${A}`);
  });

  it('are refused, muted and counted as other commands are', () => {
    const { connection, router, server } = fixture({ settings: { requirepass: 'secret' } });
    connection.receive(command('GET', 'a'));
    expect(connection.takeSent()).toBe('-NOAUTH Authentication required.\r\n');
    connection.receive('AUTH secret\r\nCLIENT REPLY SKIP\r\n');
    connection.takeSent();
    connection.receive(command('GET', 'a') + command('GET', 'b'));
    expect(connection.takeSent()).toBe(B);
    connection.receive('CLIENT REPLY OFF\r\n');
    connection.receive(command('GET', 'a'));
    expect(connection.takeSent()).toBe('');
    expect(router.batches).toHaveLength(1);
    const [session] = server.clients.sessions();
    expect(session?.lastCommand).toBe('get');
    const get = server.stats.commands().find(([name]) => name === 'get');
    expect(get?.[1]).toMatchObject({ calls: 3, rejectedCalls: 1 });
    expect(server.stats.commandsProcessed).toBe(7);
  });

  it('are refused with BUSY when too many commands are under way', () => {
    const { connection, router } = fixture({ settings: { pendingRequestsMax: 0 } });
    connection.receive(command('GET', 'a'));
    expect(connection.sent).toMatch(/^-BUSY /);
    expect(router.batches).toEqual([]);
  });

  it('ask anew for the right to read in every turn and after every other command', () => {
    const { connection, router } = fixture();
    connection.receive(command('GET', 'a').repeat(3) + 'PING\r\n' + command('GET', 'a'));
    connection.receive(command('GET', 'a'));
    expect(router.batches.map(({ allowedAtMs }) => allowedAtMs)).toEqual([0, 5, 0, 0]);
  });

  it('are looked up together, more and more of them, and one by one after one in vain', () => {
    const { connection, router } = fixture();
    connection.receive(command('GET', 'a').repeat(200));
    expect(counts(router)).toEqual([1, 2, 4, 8, 16, 32, FRAMES_MAX, FRAMES_MAX, 9]);
    router.batches.length = 0;
    connection.receive(command('GET', 'missing') + command('GET', 'a').repeat(3));
    expect(counts(router)).toEqual([4, 1, 2]);
  });

  it('of large values come whole and in order, also when there are many', () => {
    const { connection, router } = fixture();
    const values = Array.from({ length: 8 }, (_, i) => String(i).repeat(65_000));
    values.forEach((value, i) => router.values.set(`0:v${i}`, value));
    const names = values.map((_, i) => `v${i}`);
    for (const name of names) connection.receive(command('GET', name).repeat(2));
    expect(connection.takeSent()).toBe(
      values.map((value) => `$65000\r\n${value}\r\n`.repeat(2)).join(''),
    );
  });

  it('on a connection that ends its side are all answered', () => {
    const { connection } = fixture();
    connection.receiveInTurn(command('GET', 'a') + command('GET', 'b'));
    connection.receiveEnd();
    expect(connection.sent).toBe(A + B);
    expect(connection.ended).toBe(true);
  });
});
