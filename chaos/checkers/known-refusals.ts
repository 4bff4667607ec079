/**
 * Whoever is refused is told with a code that stands for "nothing was changed, try again" (`docs/errors.md`). A
 * workload's commands are right, so `ERR` and its like mean that something else went wrong.
 */
import { type Checker, verdict } from './checker.ts';

const NAME = 'known-refusals';

const KNOWN = /^(NOTDONE|STOREDOWN|STOREFAIL|BUSY|LOADING|OOM|LEGACYDOWN) |^not sent: /;
/** The one error that is an answer. */
const NO_SUCH_KEY = 'ERR no such key';

export const knownRefusals: Checker = {
  name: NAME,
  claim: 'Every refusal has a code that says that nothing was changed.',
  check({ operations }) {
    const refused = operations.filter(({ outcome }) => outcome === 'refused');
    const findings = new Map<string, number>();
    for (const { command, reply } of refused) {
      const text = String(reply);
      if (isAnswer(command, text) || isKnownRefusal(text)) continue;
      const what = `${command[0]} was answered with: ${text}`;
      findings.set(what, (findings.get(what) ?? 0) + 1);
    }
    const lines = [...findings].map(([what, count]) => `${what} (${count} times)`);
    return verdict(NAME, `${refused.length} refusals`, lines);
  },
};

/** Whether this error is what the command has to say about the data, and no failure. */
export function isAnswer([name = '']: readonly string[], text: string): boolean {
  return text === NO_SUCH_KEY && name.startsWith('RENAME');
}

/** Whether the code of this error says that nothing was changed. */
export function isKnownRefusal(text: string): boolean {
  return KNOWN.test(text);
}
