/** Histories for tests of checkers: written by hand, and drawn from a model with real time and all. */
import fc from 'fast-check';
import { type Model, sameReply } from '../../../chaos/checkers/linearizability/model.ts';
import { History, type Operation, type ReplyValue } from '../../../chaos/history.ts';

export function history(...operations: readonly Operation[]): History {
  const made = new History({ title: 'by hand', settings: {} });
  for (const operation of operations) made.add(operation);
  return made;
}

/** `op(1, 3, 'SET k a', 'OK')`: sent at 1, answered at 3. */
export function op(
  startedAtMs: number,
  endedAtMs: number,
  command: string,
  reply: ReplyValue,
  more: Partial<Operation> = {},
): Operation {
  return {
    workload: 'w',
    client: 'c1',
    node: 'node-1',
    command: command.split(' '),
    startedAtMs,
    endedAtMs,
    outcome: 'ok',
    reply,
    ...more,
  };
}

export function unknown(startedAtMs: number, endedAtMs: number, command: string): Operation {
  return op(startedAtMs, endedAtMs, command, 'UNKNOWN', { outcome: 'unknown' });
}

export function refused(startedAtMs: number, endedAtMs: number, command: string): Operation {
  return op(startedAtMs, endedAtMs, command, 'NOTDONE', { outcome: 'refused' });
}

/** A command, how long it was under way before and after the moment it happened, and what its client saw. */
export interface Drawn {
  readonly command: readonly string[];
  readonly before: number;
  readonly after: number;
  readonly fate: 'ok' | 'refused' | 'unknown-done' | 'unknown-lost' | 'unknown-late';
}

export function drawn(
  commands: readonly (readonly string[])[],
  maxLength: number,
): fc.Arbitrary<Drawn[]> {
  const fates = ['ok', 'ok', 'ok', 'ok', 'refused', 'unknown-done', 'unknown-lost', 'unknown-late'];
  const one = fc.record({
    command: fc.constantFrom(...commands),
    before: fc.integer({ min: 0, max: 5 }),
    after: fc.integer({ min: 0, max: 5 }),
    fate: fc.constantFrom(...(fates as Drawn['fate'][])),
  });
  return fc.array(one, { maxLength });
}

/**
 * Runs the commands one after the other on the model, at moments 10, 12, 14, ..., and tells what their clients
 * saw. `%` in a command becomes a number that is never used twice.
 */
export function play<State>(model: Model<State>, commands: readonly Drawn[]): Operation[] {
  let state = model.initial;
  const run = (command: readonly string[]): ReplyValue | undefined => {
    const step = model.step(state, command);
    if (step !== undefined) state = step.state;
    return step?.reply;
  };
  return commands.map(({ command: template, before, after, fate }, i) => {
    const command = template.map((word) => word.replace('%', String(i)));
    const moment = 2 * i + 10;
    const happens = fate !== 'refused' && fate !== 'unknown-lost';
    const reply = happens ? run(command) : undefined;
    const told = fate === 'ok' ? (reply === undefined ? 'refused' : 'ok') : undefined;
    return op(moment - before, moment + after, '', told === 'ok' ? reply! : 'an error', {
      client: `c${i}`,
      command,
      outcome: told ?? (fate === 'refused' ? 'refused' : 'unknown'),
      // One that happens late was sent, and given up, long before.
      ...(fate === 'unknown-late' ? { startedAtMs: 1, endedAtMs: 2 } : {}),
    });
  });
}

/**
 * The definition of linearizability, tried out: some of the unknown operations and all answered ones have an order
 * that respects real time and in which the model gives every reply. Only for a few operations.
 */
export function isLinearizableByDefinition<State>(
  model: Model<State>,
  operations: readonly Operation[],
): boolean {
  const place = (state: State, left: readonly Operation[]): boolean =>
    left.every(({ outcome }) => outcome === 'unknown') ||
    left.some((operation) => {
      const others = left.filter((other) => other !== operation);
      const mustWait = others.some(
        (other) => other.outcome === 'ok' && other.endedAtMs < operation.startedAtMs,
      );
      if (mustWait) return false;
      const step = model.step(state, operation.command);
      if (step === undefined) return false;
      if (operation.outcome === 'ok' && !sameReply(step.reply, operation.reply)) return false;
      return place(step.state, others);
    });
  return place(
    model.initial,
    operations.filter(({ outcome }) => outcome !== 'refused'),
  );
}

export type Mutation = (operations: Operation[]) => Operation[];

/** Something that goes wrong: an effect is dropped or repeated, a reply is of another time, an operation of another moment. */
export function mutation(): fc.Arbitrary<Mutation> {
  const kinds = ['drop', 'stale', 'swap', 'later', 'repeat'] as const;
  return fc.tuple(fc.constantFrom(...kinds), fc.nat(), fc.nat()).map(
    ([kind, a, b]): Mutation =>
      (operations) => {
        if (operations.length === 0) return operations;
        const i = a % operations.length;
        const j = b % operations.length;
        const one = operations[i]!;
        const other = operations[j]!;
        const startedAtMs = other.endedAtMs + 1;
        const later = { ...one, startedAtMs, endedAtMs: startedAtMs + 1 };
        switch (kind) {
          case 'drop':
            return operations.filter((_, at) => at !== i);
          case 'stale':
            return operations.with(i, { ...one, reply: other.reply });
          case 'swap':
            return operations
              .with(i, { ...one, reply: other.reply })
              .with(j, { ...other, reply: one.reply });
          case 'later':
            return operations.with(i, later);
          case 'repeat':
            return [...operations, later];
        }
      },
  );
}
