import { describe, expect, it } from 'vitest';
import type { Platform } from '../../../src/platform/platform.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { createHarness, FakeConnection, type Harness, settingsWith } from './harness.ts';

interface Fixture extends Harness {
  readonly time: VirtualTime;
  readonly connection: FakeConnection;
  readonly open: () => FakeConnection;
}

function fixture(options: Parameters<typeof createHarness>[0] = {}): Fixture {
  const time = new VirtualTime();
  const platform = { clock: time, timers: time } as unknown as Platform;
  const harness = createHarness({ ...options, platform });
  const open = (): FakeConnection => {
    const connection = new FakeConnection(() => time.endTurn());
    harness.server.clients.add(connection);
    return connection;
  };
  return { ...harness, time, connection: open(), open };
}

const limit = (hardBytes: number, softBytes = 0, softSeconds = 0): object => ({
  clientOutputBufferLimit: { normal: { hardBytes, softBytes, softSeconds } },
});

describe('replies', () => {
  it('of one chunk go out in one write', () => {
    const { connection } = fixture();
    connection.receive('PING\r\nSET a 1\r\nGET a\r\nPING x\r\n');
    expect(connection.sent).toBe('+PONG\r\n+OK\r\n$1\r\n1\r\n$1\r\nx\r\n');
    expect(connection.writes).toBe(1);
  });

  it('wait for the end of the turn, so that the writes of all connections follow each other', () => {
    const { connection, open, time } = fixture();
    const second = open();
    connection.receiveInTurn('PING\r\n');
    second.receiveInTurn('PING\r\n');
    connection.receiveInTurn('ECHO x\r\n');
    expect(connection.writes + second.writes).toBe(0);
    time.endTurn();
    expect(connection.sent).toBe('+PONG\r\n$1\r\nx\r\n');
    expect(second.sent).toBe('+PONG\r\n');
    expect(connection.writes + second.writes).toBe(2);
  });

  it('of more than a megabyte do not wait for the end of the turn', () => {
    const { connection, router } = fixture();
    router.values.set('0:v', 'x'.repeat(400_000));
    connection.receiveInTurn('GET v\r\n'.repeat(4));
    expect(connection.writes).toBe(1);
    expect(connection.sent.length).toBeGreaterThan(1_200_000);
  });

  it('keep the order of the commands, in whatever order they become known', () => {
    const { connection, router, time } = fixture();
    router.holding = true;
    connection.receive('SET a 1\r\nPING\r\nGET a\r\nGET b\r\nECHO e\r\n');
    router.release(2);
    router.release(1);
    time.endTurn();
    expect(connection.sent).toBe('');
    router.release(0);
    time.endTurn();
    expect(connection.sent).toBe('+OK\r\n+PONG\r\n$-1\r\n$-1\r\n$1\r\ne\r\n');
    expect(connection.writes).toBe(1);
  });

  it('that come in one turn share one write', () => {
    const { connection, router, time } = fixture();
    router.holding = true;
    connection.receive('SET a 1\r\nSET b 2\r\n');
    router.releaseAll();
    expect(connection.writes).toBe(0);
    time.endTurn();
    expect(connection.writes).toBe(1);
  });

  it('handed in twice count once', () => {
    const { connection, router, time } = fixture();
    router.holding = true;
    connection.receive('SET a 1\r\n');
    const [call] = router.held;
    call?.done('+first\r\n');
    call?.done('+second\r\n');
    time.endTurn();
    expect(connection.sent).toBe('+first\r\n');
    connection.receive('PING\r\n');
    expect(connection.sent).toBe('+first\r\n+PONG\r\n');
  });

  it('that come after the client left are forgotten', () => {
    const { connection, router, server } = fixture();
    router.holding = true;
    connection.receive('SET a 1\r\n');
    connection.destroy();
    expect(router.openClients).toBe(0);
    expect(server.clients.pendingRequests).toBe(1);
    router.releaseAll();
    expect(server.clients.pendingRequests).toBe(0);
    expect(connection.sent).toBe('');
  });
});

describe('session state', () => {
  it('holds from the next pipelined command on', () => {
    const { connection, router } = fixture();
    router.holding = true;
    connection.receive('SET k 0\r\nSELECT 3\r\nSET k 3\r\nHELLO 3\r\nGET k\r\n');
    expect(router.submitted).toEqual(['0:SET k', '3:SET k', '3:GET k']);
    expect(router.held.map((call) => call.prepared.protocol)).toEqual([2, 2, 3]);
  });

  it('returns to that of a new connection on RESET', () => {
    const { connection, server } = fixture();
    connection.receive('SELECT 3\r\nCLIENT SETNAME n\r\nHELLO 3\r\nRESET\r\n');
    const [session] = server.clients.sessions();
    expect(session).toMatchObject({ db: 0, name: '', protocol: 2, replyMode: 'on' });
  });

  it('CLIENT REPLY OFF, ON and SKIP drop exactly the replies they should', () => {
    const { connection, router, time } = fixture();
    connection.receive(
      'CLIENT REPLY OFF\r\nPING\r\nSET a 1\r\nnosuch\r\nCLIENT REPLY ON\r\nECHO 1\r\n',
    );
    expect(connection.takeSent()).toBe('+OK\r\n$1\r\n1\r\n');
    connection.receive('CLIENT REPLY SKIP\r\nECHO 2\r\nECHO 3\r\n');
    expect(connection.takeSent()).toBe('$1\r\n3\r\n');
    router.holding = true;
    connection.receive('CLIENT REPLY SKIP\r\nGET a\r\nGET a\r\n');
    router.releaseAll();
    time.endTurn();
    expect(connection.takeSent()).toBe('$1\r\n1\r\n');
  });
});

describe('a command about the whole server', () => {
  it('runs when all before it are answered, and what follows waits for it', async () => {
    let answer: (count: number) => void = () => undefined;
    const { connection, router, time } = fixture({
      dbsize: () => new Promise((resolve) => (answer = resolve)),
    });
    router.holding = true;
    connection.receive('SET a 1\r\nDBSIZE\r\nSET b 2\r\n');
    time.endTurn();
    expect(router.submitted).toEqual(['0:SET a']);
    expect(connection.paused).toBe(true);
    router.release();
    time.endTurn();
    expect(connection.takeSent()).toBe('+OK\r\n');
    expect(router.submitted).toHaveLength(1);
    answer(42);
    await new Promise(setImmediate);
    time.endTurn();
    expect(connection.takeSent()).toBe(':42\r\n');
    expect(router.submitted).toEqual(['0:SET a', '0:SET b']);
    expect(connection.paused).toBe(false);
  });

  it('that fails replies an error, and the connection goes on', async () => {
    const { connection, time } = fixture({ dbsize: () => Promise.reject(new Error('broken')) });
    connection.receive('DBSIZE\r\nPING\r\n');
    await new Promise(setImmediate);
    time.endTurn();
    expect(connection.sent).toMatch(/^-UNKNOWN internal error.*\r\n\+PONG\r\n$/);
  });
});

describe('checks before a command runs', () => {
  it('unknown names and wrong arity have their own texts', () => {
    const { connection } = fixture();
    connection.receive('nosuch a b\r\nGET\r\nget a b\r\nCLIENT nosuch\r\n');
    expect(connection.sent).toBe(
      "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n" +
        "-ERR wrong number of arguments for 'get' command\r\n" +
        "-ERR wrong number of arguments for 'get' command\r\n" +
        "-ERR unknown subcommand 'nosuch'. Try CLIENT HELP.\r\n",
    );
  });

  it('a password is asked for before anything but AUTH, HELLO, RESET and QUIT', () => {
    const { connection, router } = fixture({ settings: { requirepass: 'secret' } });
    connection.receive('GET a\r\nGET\r\nPING\r\nAUTH wrong\r\nAUTH secret\r\nGET a\r\n');
    const noAuth = '-NOAUTH Authentication required.\r\n';
    const wrongPass = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
    const arity = "-ERR wrong number of arguments for 'get' command\r\n";
    expect(connection.sent).toBe(`${noAuth}${arity}${noAuth}${wrongPass}+OK\r\n$-1\r\n`);
    expect(router.submitted).toHaveLength(1);
  });

  it('a client without authentication may not send large frames, and may after it', () => {
    const big = `*2\r\n$3\r\nGET\r\n$20000\r\n${'x'.repeat(20_000)}\r\n`;
    const { connection, open } = fixture({ settings: { requirepass: 'secret' } });
    connection.receive(big);
    expect(connection.sent).toBe('-ERR Protocol error: unauthenticated bulk length\r\n');
    const second = open();
    second.receive(`AUTH secret\r\n${big}`);
    expect(second.sent).toBe('+OK\r\n$-1\r\n');
  });

  it('over pending-requests-max commands on keys are refused with BUSY', () => {
    const { connection, router, time } = fixture({ settings: { pendingRequestsMax: 2 } });
    router.holding = true;
    connection.receive('GET a\r\nGET b\r\nGET c\r\nPING\r\n');
    expect(router.held).toHaveLength(2);
    router.releaseAll();
    time.endTurn();
    expect(connection.sent).toMatch(/^\$-1\r\n\$-1\r\n-BUSY .*nothing was changed\r\n\+PONG\r\n$/);
  });
});

describe('limits', () => {
  it('client-pending-max stops reading, and half of it starts again', () => {
    const { connection, router, time } = fixture({ settings: { clientPendingMax: 4 } });
    router.holding = true;
    connection.receive('GET a\r\n'.repeat(10));
    expect(router.held).toHaveLength(4);
    expect(connection.paused).toBe(true);
    router.release();
    router.release();
    time.endTurn();
    expect(router.held).toHaveLength(2);
    router.release();
    time.endTurn();
    expect(router.held).toHaveLength(4);
    while (router.held.length > 0) {
      router.releaseAll();
      time.endTurn();
    }
    expect(connection.paused).toBe(false);
    expect(connection.sent).toBe('$-1\r\n'.repeat(10));
    expect(router.mostHeld).toBe(4);
  });

  it('a client that does not read is closed at the hard limit', () => {
    const { connection, router, server } = fixture({ settings: limit(10_000) });
    router.values.set('0:v', 'x'.repeat(4000));
    connection.peerReads = false;
    connection.receive('GET v\r\nGET v\r\n');
    expect(connection.destroyed).toBe(false);
    connection.receive('GET v\r\n');
    expect(connection.destroyed).toBe(true);
    expect(server.stats.outputBufferDisconnects).toBe(1);
  });

  it('replies that wait behind an unanswered command count as output', () => {
    const { connection, router } = fixture({ settings: limit(10_000) });
    router.values.set('0:v', 'x'.repeat(4000));
    router.holding = true;
    connection.receive('GET first\r\n');
    router.holding = false;
    connection.receive('GET v\r\nGET v\r\n');
    expect(connection.destroyed).toBe(false);
    connection.receive('GET v\r\n');
    expect(connection.destroyed).toBe(true);
  });

  it('the soft limit closes after its seconds, and only when it was exceeded all the time', () => {
    const { connection, router, time } = fixture({ settings: limit(0, 1000, 10) });
    router.values.set('0:v', 'x'.repeat(4000));
    connection.peerReads = false;
    time.advance(60_000);
    connection.receive('GET v\r\n');
    time.advance(9000);
    connection.bufferedBytes = 0;
    time.advance(2000);
    connection.receive('GET v\r\n');
    time.advance(9000);
    expect(connection.destroyed).toBe(false);
    time.advance(2000);
    expect(connection.destroyed).toBe(true);
  });

  it('unfinished input over client-query-buffer-limit closes the connection', () => {
    const { connection, server } = fixture({ settings: { clientQueryBufferLimit: 5000 } });
    connection.receive('*2\r\n$3\r\nGET\r\n$100000\r\n');
    connection.receive('x'.repeat(4000));
    expect(connection.destroyed).toBe(false);
    connection.receive('x'.repeat(4000));
    expect(connection.destroyed).toBe(true);
    expect(server.stats.queryBufferDisconnects).toBe(1);
    expect(connection.sent).toBe('');
  });

  it('timeout closes idle clients, not busy ones', () => {
    const { connection, open, router, time, settings } = fixture({ settings: { timeout: 30 } });
    const busy = open();
    const waiting = open();
    router.holding = true;
    waiting.receive('GET a\r\n');
    time.advance(20_000);
    busy.receive('PING\r\n');
    time.advance(15_000);
    expect([connection, busy, waiting].map((each) => each.destroyed)).toEqual([true, false, false]);
    settings.timeout = 0;
    time.advance(600_000);
    expect(busy.destroyed).toBe(false);
  });

  it('tcp-keepalive is set on each connection', () => {
    expect(fixture({ settings: settingsWith({ tcpKeepalive: 7 }) }).connection.keepAliveMs).toBe(
      7000,
    );
  });
});

describe('CLIENT NO-TOUCH', () => {
  it('is part of what the router is given, until it is switched off or RESET', () => {
    const { connection, router } = fixture();
    router.holding = true;
    connection.receive('GET a\r\nCLIENT NO-TOUCH on\r\nGET b\r\nCLIENT NO-TOUCH off\r\nGET c\r\n');
    connection.receive('CLIENT NO-TOUCH on\r\nGET d\r\nRESET\r\nGET e\r\n');
    const noTouch = router.held.map(({ prepared }) => prepared.noTouch);
    expect(noTouch).toEqual([false, true, false, true, false]);
  });
});

describe('closing', () => {
  it('QUIT answers what is under way and itself, ignores the rest, then closes', () => {
    const { connection, router, time } = fixture();
    router.holding = true;
    connection.receive('GET a\r\nQUIT\r\nSET a 1\r\n');
    time.endTurn();
    expect(connection.ended).toBe(false);
    router.releaseAll();
    time.endTurn();
    expect(connection.sent).toBe('$-1\r\n+OK\r\n');
    expect(connection.ended).toBe(true);
    expect(router.submitted).toEqual(['0:GET a']);
  });

  it('a browser that posts to the port is cut off before its body is run', () => {
    const { connection, router } = fixture();
    connection.receive('POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n');
    expect(connection.destroyed).toBe(true);
    expect(connection.sent).toBe('');
    expect(router.submitted).toEqual([]);
  });

  it('a protocol error is answered behind the commands before it', () => {
    const { connection, router, time, server } = fixture();
    router.holding = true;
    connection.receive('GET a\r\n*x\r\nGET b\r\n');
    router.releaseAll();
    time.endTurn();
    expect(connection.sent).toBe('$-1\r\n-ERR Protocol error: invalid multibulk length\r\n');
    expect(connection.ended).toBe(true);
    expect(server.stats.protocolErrors).toBe(1);
  });

  it('a client that ends its side still gets all its answers', () => {
    const { connection, router, time } = fixture({ settings: { clientPendingMax: 2 } });
    router.holding = true;
    connection.receive('GET a\r\nGET b\r\nGET c\r\n');
    connection.receiveEnd();
    for (let round = 0; round < 3; round++) {
      router.releaseAll();
      time.endTurn();
    }
    expect(connection.sent).toBe('$-1\r\n'.repeat(3));
    expect(connection.ended).toBe(true);
  });

  it('an ended connection is cut when it makes no progress', () => {
    const { connection, time } = fixture();
    connection.peerReads = false;
    connection.receive('QUIT\r\n');
    expect(connection.ended).toBe(true);
    time.advance(9000);
    connection.bufferedBytes = 1;
    time.advance(9000);
    expect(connection.destroyed).toBe(false);
    time.advance(3000);
    expect(connection.destroyed).toBe(true);
  });

  it('drain answers what is under way and cuts what does not end', async () => {
    const { connection, open, router, server, time } = fixture();
    const slow = open();
    router.holding = true;
    connection.receive('GET a\r\n');
    slow.receive('GET b\r\n');
    const drained = server.clients.drain(5000);
    router.release();
    time.endTurn();
    expect(connection.sent).toBe('$-1\r\n');
    expect(connection.ended).toBe(true);
    connection.destroy();
    time.advance(5000);
    expect(slow.destroyed).toBe(true);
    await drained;
    expect(time.armed).toBe(0);
  });
});
