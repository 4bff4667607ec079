/** Keys that are given a time to live, a longer or a shorter one, and that lose it again. */
import type { Random } from '../../src/platform/clock.ts';
import { type Choice, mixedCommands, type MixedCommandsOptions } from './mixed-commands.ts';

const TTL_MS_MIN = 200;
const TTL_MS_MAX = 2_200;

const CHOICES: readonly Choice[] = [
  { weight: 25, command: (draw) => ['SET', draw.key, draw.value(), 'PX', ttl(draw.random)] },
  { weight: 3, command: ({ key, value }) => ['SET', key, value(), 'EX', '1'] },
  { weight: 5, command: ({ key, value }) => ['SET', key, value()] },
  { weight: 4, command: ({ key, value }) => ['SET', key, value(), 'KEEPTTL'] },
  { weight: 3, command: ({ key, value }) => ['APPEND', key, `${value()};`] },
  { weight: 34, command: ({ key }) => ['GET', key] },
  { weight: 8, command: ({ key }) => ['PTTL', key] },
  { weight: 8, command: (draw) => ['PEXPIRE', draw.key, ttl(draw.random)] },
  { weight: 7, command: ({ key }) => ['PERSIST', key] },
  { weight: 3, command: ({ key }) => ['DEL', key] },
];

const COMMON: Omit<MixedCommandsOptions, 'name'> = {
  checkers: ['expiry', 'known-refusals'],
  keys: 12,
  operationsPerKey: 60,
  choices: CHOICES,
};

export const expiring = mixedCommands({ name: 'expiring', ...COMMON });

/** The same of keys that no database has. */
export const expiringInMemory = mixedCommands({
  name: 'expiring-in-memory',
  root: 'none',
  ...COMMON,
});

/** Few keys that are written seldom and read without pause, by half of the clients only read: also at the end of their time. */
export const expiringReads = mixedCommands({
  name: 'expiring-reads',
  checkers: ['expiry', 'known-refusals'],
  keys: 4,
  operationsPerKey: 1_500,
  readersEvery: 2,
  choices: [
    { weight: 85, reads: true, command: ({ key }) => ['GET', key] },
    { weight: 15, command: (draw) => ['SET', draw.key, draw.value(), 'PX', ttl(draw.random)] },
  ],
});

/** Some time, milliseconds. */
export function ttl(random: Random): string {
  return String(TTL_MS_MIN + random.below(TTL_MS_MAX - TTL_MS_MIN));
}
