/** Defaults that follow from other options, and rules that tie several options together. */
import type { Settings } from './options.ts';

/** Settings before they are frozen. */
export type Draft = { -readonly [K in keyof Settings]: Settings[K] };

const WILDCARDS = new Set(['', '0.0.0.0', '::', '*']);
const LINK_PORT_OFFSET = 10_000;

/** Fills in what was not given and follows from the rest. `given` says which options were. */
export function deriveDefaults(draft: Draft, given: ReadonlySet<keyof Settings>): void {
  if (draft.linkBind === '') draft.linkBind = draft.bind;
  if (draft.httpBind === '') draft.httpBind = draft.bind;
  if (draft.announceHost === '' && !WILDCARDS.has(draft.bind)) draft.announceHost = draft.bind;
  if (draft.zone === '') draft.zone = draft.announceHost;
  // Port 0 is "any free port", and so is the link's port then.
  if (!given.has('linkPort') && draft.port !== 0) draft.linkPort = draft.port + LINK_PORT_OFFSET;
}

interface Rule {
  /** The option to name in the message. */
  readonly option: keyof Settings;
  holds(settings: Settings): boolean;
  /** What must hold, and why. */
  readonly rule: string;
}

const RULES: readonly Rule[] = [
  {
    option: 'announceHost',
    holds: (s) => s.announceHost !== '',
    rule: 'must be given when bind is a wildcard: other nodes need one address that leads here',
  },
  {
    option: 'linkPort',
    holds: (s) => s.linkPort <= 65_535,
    rule: 'is port + 10000 where it is not given, and that is above 65535: give link-port, or a port up to 55535',
  },
  {
    option: 'linkPort',
    holds: (s) => s.linkPort === 0 || s.linkPort !== s.port,
    rule: 'must differ from port: clients and nodes speak different protocols',
  },
  {
    option: 'httpPort',
    holds: (s) => s.httpPort === 0 || (s.httpPort !== s.port && s.httpPort !== s.linkPort),
    rule: 'must differ from port and link-port',
  },
  {
    option: 'leaseMarginMs',
    holds: (s) => s.leaseMarginMs * 3 < s.leaseMs,
    rule: 'must be less than a third of lease-ms: a lease is renewed every third, and the margin comes off each time',
  },
  {
    option: 'storeTimeoutMs',
    holds: (s) => s.storeTimeoutMs < s.leaseMs,
    rule: 'must be less than lease-ms: a batch must end well before the lease it runs under',
  },
  {
    option: 'requestTimeoutMs',
    holds: (s) => s.requestTimeoutMs > 2 * s.leaseMs + s.leaseMarginMs,
    rule: 'must exceed two leases and lease-margin-ms: that is how long replacing a lost node may take',
  },
  {
    option: 'clockBoundMs',
    holds: (s) => s.clockBoundMs < s.leaseMs,
    rule: 'must be less than lease-ms',
  },
];

/** The rules that do not hold, as (option, what must hold and why). */
export function brokenRules(settings: Settings): { option: keyof Settings; rule: string }[] {
  return RULES.filter((rule) => !rule.holds(settings)).map(({ option, rule }) => ({
    option,
    rule,
  }));
}
