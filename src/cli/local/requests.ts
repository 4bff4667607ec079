/**
 * How another command asks a running `ringfence up` for something: a file in its folder, and the answer
 * in another one. Whoever may write the folder may ask; no port is opened for it.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, PlainError } from '../program.ts';
import { readWhole, writeWhole } from './json-file.ts';
import type { NodePlan } from './plan.ts';
import { liveProcess } from './process-files.ts';

export type UpRequest =
  /** Start one more node. */
  | { readonly kind: 'add' }
  /** Stop a node, which holds nothing any more, and leave it down; the port tells whose node it is. */
  | { readonly kind: 'remove'; readonly node: string; readonly port: number };

interface UpAnswer {
  readonly id: string;
  readonly node?: NodePlan;
  readonly error?: string;
}

const REQUEST = 'up.request.json';
const ANSWER = 'up.answer.json';
const POLL_MS = 200;
const ANSWER_WITHIN_MS = 60_000;

/** The id of the running `up` of a folder; undefined when there is none. */
export function runningUp(dir: string): number | undefined {
  return liveProcess(join(dir, 'up.pid'), /ringfence up/);
}

/**
 * Asks the `up` that runs from `dir`; the answer is the node that was started or stopped, or undefined
 * when it has no such node. Rejects with a PlainError that says what is wrong.
 */
export async function askUp(dir: string, request: UpRequest): Promise<NodePlan | undefined> {
  if (runningUp(dir) === undefined)
    throw new PlainError(`no local cluster runs from ${dir}; start it with ringfence up`);
  const id = `${process.pid}-${Date.now()}`;
  writeWhole(join(dir, REQUEST), { id, ...request });
  const deadline = Date.now() + ANSWER_WITHIN_MS;
  while (Date.now() < deadline) {
    await delay(POLL_MS);
    const answer = readWhole(join(dir, ANSWER)) as UpAnswer | undefined;
    if (answer?.id !== id) continue;
    rmSync(join(dir, ANSWER), { force: true });
    if (answer.error !== undefined) throw new PlainError(answer.error);
    return answer.node;
  }
  throw new PlainError(`the cluster that runs from ${dir} does not answer`);
}

/** Answers requests until it is stopped. */
export class RequestWatch {
  readonly #dir: string;
  readonly #timer: NodeJS.Timeout;
  #busy = false;

  constructor(dir: string, answer: (request: UpRequest) => Promise<NodePlan | undefined>) {
    this.#dir = dir;
    rmSync(join(dir, REQUEST), { force: true });
    this.#timer = setInterval(() => void this.#look(answer), POLL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(answer: (request: UpRequest) => Promise<NodePlan | undefined>): Promise<void> {
    if (this.#busy) return;
    const file = join(this.#dir, REQUEST);
    const request = readWhole(file) as (UpRequest & { id: string }) | undefined;
    if (request === undefined) return;
    this.#busy = true;
    rmSync(file, { force: true });
    const { id } = request;
    try {
      const node = await answer(request);
      writeWhole(join(this.#dir, ANSWER), { id, ...(node === undefined ? {} : { node }) });
    } catch (error) {
      writeWhole(join(this.#dir, ANSWER), { id, error: messageOf(error) });
    } finally {
      this.#busy = false;
    }
  }
}
