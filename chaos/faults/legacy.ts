/** The legacy API slow, failing, or answering what nobody can read. */
import { always, type Fault, LONG_MS, pause, whileBroken } from './fault.ts';

interface LegacyFault {
  readonly name: string;
  readonly summary: string;
  /** For the sample API's `/legacy/faults`. */
  readonly query: string;
}

function legacyFault({ name, summary, query }: LegacyFault): Fault {
  return {
    name,
    summary,
    part: 'legacy',
    nodes: 0,
    whyNot: always,
    async inject({ target, say }) {
      say(summary);
      await target.legacyFaults(query);
      await whileBroken(
        () => target.legacyFaults(''),
        () => pause(LONG_MS),
      );
      say('the legacy API is well again');
    },
  };
}

export const legacySlow = legacyFault({
  name: 'legacy-slow',
  summary: 'the legacy API answers after two seconds',
  query: 'delayMs=2000',
});

export const legacyFailing = legacyFault({
  name: 'legacy-failing',
  summary: 'the legacy API answers 503',
  query: 'status=503',
});

export const legacyGarbage = legacyFault({
  name: 'legacy-garbage',
  summary: 'the legacy API answers with something that is no JSON',
  query: 'garbage=yes',
});
