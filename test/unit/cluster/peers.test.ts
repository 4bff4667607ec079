/** Links between two or three nodes on the modelled network, with nothing above them but a record. */
import { describe, expect, test } from 'vitest';
import { FrameStream, type LinkEnv, writeHello } from '../../../src/cluster/link.ts';
import { type Peer, Peers } from '../../../src/cluster/peers.ts';
import { refKey } from '../../../src/cluster/view.ts';
import {
  type FrameReader,
  FrameType,
  FrameWriter,
  PROTOCOL_VERSIONS,
} from '../../../src/cluster/wire.ts';
import type { Connection } from '../../../src/platform/transport.ts';
import type { Member, NodeRef } from '../../../src/storage/postgres/store.ts';
import { QuietLog } from '../../../chaos/sim/log.ts';
import { Host } from '../../../chaos/sim/machine.ts';
import { SimNetwork } from '../../../chaos/sim/network.ts';
import { SeededRandom } from '../../../chaos/sim/random.ts';
import { VirtualTime } from '../../../chaos/sim/time.ts';
import { member } from './members.ts';

const TIMES = { heartbeatMs: 250, silenceMs: 1500, connectTimeoutMs: 500 };

class World {
  readonly time = new VirtualTime();
  readonly network = new SimNetwork(this.time);
  readonly a: Node;
  readonly b: Node;

  /** `versions`: what each of the two speaks. */
  constructor([ofA, ofB] = [PROTOCOL_VERSIONS, PROTOCOL_VERSIONS]) {
    this.a = new Node(this, member('a'), ofA);
    this.b = new Node(this, member('b'), ofB);
  }

  /** Both dial each other. */
  async meet(): Promise<this> {
    this.a.peers.setMembers([this.a.self, this.b.self]);
    this.b.peers.setMembers([this.a.self, this.b.self]);
    await this.run(30);
    return this;
  }

  async run(ms: number): Promise<void> {
    for (let i = 0; i < ms; i++) {
      this.time.advance(1);
      for (let round = 0; round < 5; round++) await Promise.resolve();
    }
    this.time.endTurn();
  }
}

class Node {
  readonly self: Member;
  readonly peers: Peers;
  readonly env: LinkEnv;
  readonly host: Host;
  readonly log = new QuietLog();
  /** What happened, in order. */
  readonly events: string[] = [];
  readonly gone = new Set<string>();
  epoch = 1;
  /** Nobody can dial this node any more. */
  close: () => void = () => undefined;
  onFrame: (from: NodeRef, frame: FrameReader, stream: FrameStream) => void = () => undefined;

  constructor(world: World, self: Member, versions = PROTOCOL_VERSIONS) {
    this.self = self;
    this.host = new Host(self.node, world.time);
    const transport = world.network.transport(this.host);
    this.env = {
      platform: {
        clock: world.time,
        timers: this.host.timers,
        random: new SeededRandom(self.node.charCodeAt(0)),
        transport,
      },
      log: this.log,
      self,
      versions,
      clusterId: 'test',
      times: TIMES,
      bounds: { bufferBytesMax: 1024 * 1024 },
      epoch: () => this.epoch,
      heartbeatFlags: () => 0,
    };
    this.peers = new Peers(this.env, {
      onFrame: (from, frame, stream) => this.onFrame(from, frame, stream),
      onUp: (peer, lastSeq) => this.events.push(`up ${peer.member.node} ${lastSeq}`),
      onDown: (peer) => this.events.push(`down ${peer.member.node}`),
      onLinked: () => undefined,
      lastSeqFrom: () => 7,
      onNewerEpoch: (epoch) => this.events.push(`epoch ${epoch}`),
      isGone: (ref) => this.gone.has(refKey(ref)),
    });
    const at = { host: self.node, port: self.linkPort };
    void transport
      .listen(at, (connection) => this.peers.accept(connection))
      .then((listener) => (this.close = () => void listener.close()));
  }

  peer(node: Node): Peer {
    return this.peers.get(node.self)!;
  }

  /** Sends a Call with a text in it to another node. */
  ask(node: Node, text: string): void {
    const stream = this.peer(node).stream!;
    stream.begin(FrameType.Call).str(text);
    stream.end();
  }

  /** Answers what comes with what it was, and keeps what it was. */
  echo(): string[] {
    const seen: string[] = [];
    this.onFrame = (from, frame, stream) => {
      if (frame.type !== FrameType.Call && frame.type !== FrameType.CallReply) return;
      const text = frame.str();
      seen.push(text);
      if (frame.type === FrameType.CallReply) return;
      const way = this.peers.answerStream(from, stream);
      way.begin(FrameType.CallReply).str(`answer to ${text}`);
      way.end();
    };
    return seen;
  }

  /** A connection to another node that this node's own links know nothing of. */
  async dialAside(world: World, to: Node): Promise<Connection> {
    const dialling = this.env.platform.transport.connect({
      host: to.self.node,
      port: to.self.linkPort,
      timeoutMs: 500,
    });
    await world.run(5);
    return dialling;
  }
}

describe('two nodes', () => {
  test('have a link each way, and learn what the other has of them', async () => {
    const { a, b } = await new World().meet();
    expect(a.events).toEqual(['up b 7']);
    expect(b.events).toEqual(['up a 7']);
  });

  test('answer on their own connection', async () => {
    const world = await new World().meet();
    const { a, b } = world;
    const [atA, atB] = [a.echo(), b.echo()];
    const ways = new Set<FrameStream>();
    const { onFrame } = a;
    a.onFrame = (from, frame, stream) => {
      if (frame.type === FrameType.CallReply) ways.add(stream);
      onFrame(from, frame, stream);
    };
    a.ask(b, 'one');
    a.ask(b, 'two');
    await world.run(5);
    expect(atB).toEqual(['one', 'two']);
    expect(atA).toEqual(['answer to one', 'answer to two']);
    // It came on what the other one dialled, not on what the question went out on.
    expect([...ways]).not.toContain(a.peer(b).stream);
  });

  test('lose both connections when either breaks, and have both again soon', async () => {
    const world = await new World().meet();
    const { a, b } = world;
    b.echo();
    a.echo();
    a.ask(b, 'an answer goes over the other connection');
    await world.run(5);
    // The one that the answers take: questions on the other one would wait for ever.
    b.peer(a).stream!.close('broken by the test');
    await world.run(5);
    expect(a.events).toContain('down b');
    expect(b.events).toContain('down a');
    await world.run(200);
    expect([a.peer(b).up, b.peer(a).up]).toEqual([true, true]);
  });

  test('hear of a newer view at once, and of the rest of its frames when they are in it', async () => {
    const world = await new World().meet();
    const { a, b } = world;
    const seen = b.echo();
    a.epoch = 2;
    a.ask(b, 'of view 2');
    await world.run(5);
    expect(b.events).toContain('epoch 2');
    expect(seen).toEqual([]);
    b.epoch = 2;
    b.peers.resumeAll();
    await world.run(5);
    expect(seen).toEqual(['of view 2']);
  });

  test.each([
    [300, 1],
    [1400, 1],
    [1600, 3],
    [3000, 3],
    [10_000, 3],
  ])(
    'whose link is cut one way for %d ms have it again soon after, in order',
    async (cutMs, events) => {
      const world = await new World().meet();
      const { a, b } = world;
      const seen = b.echo();
      world.network.cutOneWay('a', 'b');
      a.ask(b, 'first');
      await world.run(cutMs);
      world.network.heal('a', 'b');
      if (a.peer(b).up) a.ask(b, 'second');
      await world.run(1000);
      expect([a.peer(b).up, b.peer(a).up]).toEqual([true, true]);
      // Up once, and down and up again only where the silence was too long.
      expect([a.events.length, b.events.length]).toEqual([events, events]);
      expect(seen).toEqual(events === 1 ? ['first', 'second'] : []);
    },
  );

  test('say that they leave on every way that answers take', async () => {
    const world = await new World().meet();
    const { a, b } = world;
    const heard: number[] = [];
    a.onFrame = (_from, frame) => {
      if (frame.type === FrameType.Leaving) heard.push(frame.u8());
    };
    b.peers.sayLeaving();
    await world.run(5);
    expect(heard).toEqual([2, 2]);
  });
});

describe('two nodes of different releases', () => {
  test.each([
    [{ min: 1, max: 1 }, { min: 1, max: 2 }, 1],
    [{ min: 1, max: 3 }, { min: 2, max: 5 }, 3],
    [{ min: 4, max: 4 }, { min: 2, max: 9 }, 4],
  ])('%j and %j speak version %d', async (ofA, ofB, version) => {
    const { a, b } = await new World([ofA, ofB]).meet();
    expect([a.peer(b).stream?.version, b.peer(a).stream?.version]).toEqual([version, version]);
  });

  test('without a version in common say so, on both sides, once a reason', async () => {
    const world = await new World([
      { min: 1, max: 1 },
      { min: 2, max: 3 },
    ]).meet();
    await world.run(3000);
    const { a, b } = world;
    expect([a.peer(b).up, b.peer(a).up]).toEqual([false, false]);
    expect(a.peers.missingLink(b.self)).toBe(
      'b refused the link: no link protocol in common: it speaks version 1, b speaks 2 to 3; upgrade one release at a time',
    );
    const said = a.log.lines.filter(({ message }) => message === 'a peer refused the link');
    expect(said).toHaveLength(1);
  });

  test('never send a frame that the version of their link does not have', async () => {
    const { a, b } = await new World().meet();
    const { stream } = a.peer(b);
    stream!.version = 0;
    expect(() => stream!.begin(FrameType.Call)).toThrow('a frame that the peer does not know');
  });
});

describe('a node that is no member yet', () => {
  test('is dialled back, so that it knows whether its links work both ways', async () => {
    const world = new World();
    const { a, b } = world;
    a.peers.setMembers([b.self]);
    await world.run(30);
    expect(b.peers.get(a.self)).toBeUndefined();
    expect(b.events).toEqual([]);
    expect(a.peers.missingLink(b.self)).toBeNull();
    expect(a.peers.heardAtMs(b.self)).not.toBeNull();
    b.peers.setMembers([a.self, b.self]);
    expect(b.peer(a).up).toBe(true);
  });

  test('and cannot be dialled back is told that it cannot be reached', async () => {
    const world = new World();
    const { a, b } = world;
    await world.run(1);
    a.close();
    a.peers.setMembers([b.self]);
    await world.run(300);
    expect(a.peer(b).up).toBe(true);
    expect(a.peers.missingLink(b.self)).toBe(
      "no link from b: it may not reach this node's link port",
    );
  });

  test('and goes away is dialled no more', async () => {
    const world = new World();
    const { a, b } = world;
    a.peers.setMembers([b.self]);
    await world.run(30);
    a.peers.setMembers([]);
    await world.run(30);
    const armed = world.time.armed;
    await world.run(2000);
    expect(world.time.armed).toBe(armed);
    b.peers.setMembers([a.self, b.self]);
    expect(b.peer(a).up).toBe(false);
  });
});

describe('a node that dials', () => {
  test('again has its older session ended before a new frame of that is read', async () => {
    const world = await new World().meet();
    const { a, b } = world;
    const seen = b.echo();
    const connection = await a.dialAside(world, b);
    const stream = new FrameStream(a.env, connection, {
      onFrame: () => true,
      onClose: () => undefined,
    });
    a.ask(b, 'on the old session, on the way');
    hello(stream, a.self, b.self, 100);
    await world.run(20);
    // It was first on the wire or it is lost, but it is never late.
    expect(seen.length).toBeLessThanOrEqual(1);
    expect(a.events).toContain('down b');
  });

  test('with an older session than the one in use is refused', async () => {
    const world = await new World().meet();
    const { a, b } = world;
    const { closed } = await dialWith(world, a, b, { session: 1 });
    expect(closed()).toBe(true);
    expect(a.peer(b).up).toBe(true);
  });

  test.each([
    ['of another cluster', { clusterId: 'another' }],
    ['for another life of the node', { to: { node: 'b', incarnation: 'b-0' } }],
    ['that speaks another protocol', { versions: { min: 90, max: 99 } }],
  ])('%s is refused', async (_what, fields) => {
    const world = new World();
    expect((await dialWith(world, world.a, world.b, fields)).closed()).toBe(true);
  });

  test('and was removed is refused', async () => {
    const world = new World();
    world.b.gone.add(refKey(world.a.self));
    expect((await dialWith(world, world.a, world.b, {})).closed()).toBe(true);
  });

  test('and is removed while it is linked loses its link', async () => {
    const world = await new World().meet();
    const { a, b } = world;
    b.gone.add(refKey(a.self));
    b.peers.setMembers([b.self]);
    await world.run(50);
    expect(b.peers.get(a.self)).toBeUndefined();
    expect(a.peer(b).up).toBe(false);
  });
});

describe('a stranger', () => {
  test('that announces a large frame is sent away before anything is kept for it', async () => {
    const world = new World();
    const connection = await world.a.dialAside(world, world.b);
    let closed = false;
    connection.handle({ onData: () => undefined, onClose: () => (closed = true) });
    connection.write(Buffer.from([0, 2, 0, 0, FrameType.Hello]));
    await world.run(5);
    expect(closed).toBe(true);
  });

  test('may send a large frame once its Hello was accepted', async () => {
    const world = await new World().meet();
    const { a, b } = world;
    const seen = b.echo();
    a.ask(b, 'x'.repeat(200_000));
    await world.run(5);
    expect(seen.map((text) => text.length)).toEqual([200_000]);
  });

  test('that does not begin with a Hello is sent away', async () => {
    const world = new World();
    const connection = await world.a.dialAside(world, world.b);
    let closed = false;
    connection.handle({ onData: () => undefined, onClose: () => (closed = true) });
    const writer = new FrameWriter();
    writer.begin(FrameType.Call, 1);
    writer.end();
    connection.write(writer.take());
    await world.run(5);
    expect(closed).toBe(true);
  });
});

const VERSIONS = { versions: PROTOCOL_VERSIONS, clusterId: 'test' };

function hello(stream: FrameStream, from: Member, to: NodeRef, session: number): void {
  writeHello(stream, { ...VERSIONS, from, to, session });
}

async function dialWith(
  world: World,
  from: Node,
  to: Node,
  fields: Partial<Parameters<typeof writeHello>[1]>,
): Promise<{ closed: () => boolean }> {
  const connection = await from.dialAside(world, to);
  let closed = false;
  const stream = new FrameStream(from.env, connection, {
    onFrame: () => true,
    onClose: () => (closed = true),
  });
  writeHello(stream, { ...VERSIONS, from: from.self, to: to.self, session: 1, ...fields });
  await world.run(10);
  return { closed: () => closed };
}
