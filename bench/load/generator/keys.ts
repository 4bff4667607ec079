/** Which keys a target gets, and the bytes of the requests that name them. */
import { slotOf } from '../../../src/cluster/slot.ts';
import { keyName, VALUE } from '../load.ts';
import type { GeneratorRequest, Target } from './request.ts';

const SLOT_COUNT = 16_384;
/** How long a WAIT may take before its write counts as not replicated, milliseconds. */
const WAIT_MS = 1000;

/** The numbers below `keySpace` whose keys are in the target's slots. Throws when there is none. */
export function keyNumbers(
  { slots }: Target,
  { prefix, keySpace }: { prefix: string; keySpace: number },
): Uint32Array {
  const wanted = new Uint8Array(SLOT_COUNT).fill(slots === undefined ? 1 : 0);
  for (const [from, to] of slots ?? []) wanted.fill(1, from, to + 1);
  const numbers = new Uint32Array(keySpace);
  let count = 0;
  for (let number = 0; number < keySpace; number++) {
    if (slots === undefined || wanted[slotOf(keyName(prefix, number))] === 1) {
      numbers[count++] = number;
    }
  }
  if (count === 0) throw new RangeError(`no key with prefix ${prefix} is in the slots`);
  return numbers.subarray(0, count);
}

/** Makes requests of one kind. `replies`: how many replies each of them brings. */
export function requestMaker(request: Pick<GeneratorRequest, 'command' | 'prefix' | 'waitFor'>): {
  readonly replies: number;
  readonly make: (key: string) => string;
} {
  const { command, waitFor } = request;
  const after = waitFor === undefined ? '' : encode(['WAIT', String(waitFor), String(WAIT_MS)]);
  const name = command.toUpperCase();
  const value = command === 'set' ? [VALUE] : [];
  return {
    replies: waitFor === undefined ? 1 : 2,
    make: (key) => encode([name, key, ...value]) + after,
  };
}

function encode(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;
}
