/** Judges the operations on one object, and explains what no order explains. */
import type { Operation } from '../../history.ts';
import { explain } from './explain.ts';
import { growingModel, keyspaceModel, shownKeys } from './keyspace-model.ts';
import type { Model } from './model.ts';
import type { Judged } from './objects.ts';
import { type Optional, type Problem, type Required, type Result, search } from './search.ts';

const EXPLANATION_CONFIGURATIONS_MAX = 5000;

export interface Judgement {
  readonly status: 'holds' | 'broken' | 'undecided';
  /** Why, when it does not hold. */
  readonly finding?: string;
}

/** An operation as the search sees it, with what it was. */
export type RequiredOperation = Required & { readonly operation: Operation };
export type OptionalOperation = Optional & { readonly operation: Operation };

export interface ObjectProblem extends Problem {
  readonly required: readonly RequiredOperation[];
  readonly optional: readonly OptionalOperation[];
}

/** What is judged against which model. */
interface Trial<State> {
  readonly model: Model<State>;
  /** The same model without states that lead nowhere. */
  readonly growing?: Model<State> | undefined;
  readonly keys: readonly string[];
  readonly problem: ObjectProblem;
}

export function judge({ keys, operations }: Judged, configurationsMax: number): Judgement {
  const model = keyspaceModel(keys);
  const problem = problemOf(model, operations);
  return judgeBy(
    { model, growing: growingModel(keys, operations), keys, problem },
    configurationsMax,
  );
}

export function judgeBy<State>(
  { model, growing, keys, problem }: Trial<State>,
  configurationsMax: number,
): Judgement {
  const result = decide(growing ?? model, problem, configurationsMax);
  switch (result.kind) {
    case 'linearizable':
      return { status: 'holds' };
    case 'undecided': {
      const count = problem.required.length + problem.optional.length;
      const finding = `${shownKeys(keys)}: ${count} operations, undecided after ${result.configurations} configurations`;
      return { status: 'undecided', finding };
    }
    case 'impossible': {
      // The story is told without hindsight, if that is not too much work.
      const plain = growing && search(model, problem, EXPLANATION_CONFIGURATIONS_MAX);
      const told = plain?.kind === 'impossible' ? plain : result;
      return { status: 'broken', finding: explain(model, keys, problem, told) };
    }
  }
}

/** An order that does without some of the optional operations is an order, and is found sooner. */
function decide<State>(
  model: Model<State>,
  problem: ObjectProblem,
  configurationsMax: number,
): Result<State> {
  const few = { ...problem, optional: likely(problem) };
  if (few.optional.length < problem.optional.length) {
    const result = search(model, few, configurationsMax);
    if (result.kind === 'linearizable') return result;
  }
  return search(model, problem, configurationsMax);
}

/**
 * Refused operations never took effect; a read with unknown outcome says nothing. What is left is required when
 * it was answered, and optional when not.
 */
export function problemOf<State>(
  model: Model<State>,
  operations: readonly Operation[],
): ObjectProblem {
  const required: RequiredOperation[] = [];
  const optional: OptionalOperation[] = [];
  for (const operation of operations) {
    const { command, reply, startedAtMs, endedAtMs, outcome } = operation;
    if (outcome === 'ok') required.push({ command, reply, startedAtMs, endedAtMs, operation });
    else if (outcome === 'unknown' && !model.changesNothing(command, undefined)) {
      optional.push({ command, startedAtMs, operation });
    }
  }
  required.sort((a, b) => a.endedAtMs - b.endedAtMs);
  optional.sort((a, b) => a.startedAtMs - b.startedAtMs);
  return { required, optional };
}

/** Commands that write whole values, and so leave no trace but their values. */
const WRITES_VALUES: ReadonlySet<string> = new Set(['SET', 'SETNX', 'GETSET', 'MSET', 'MSETNX']);

/** The optional operations but those whose values nobody ever saw: most often they did not happen. */
function likely({ required, optional }: ObjectProblem): readonly OptionalOperation[] {
  const seen = new Set(required.flatMap(({ reply }) => reply));
  return optional.filter(
    ({ command: [name, ...args] }) =>
      !WRITES_VALUES.has(name!) || args.some((argument) => seen.has(argument)),
  );
}
