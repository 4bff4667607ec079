/**
 * Money moves between accounts that live on several owners: by MSET of both new balances, and by RENAME of an
 * account. Everybody reads all accounts of somebody at once.
 *
 * Every group of accounts has one client that moves its money, which knows the balances without reading. After
 * an unknown outcome it does not know them any more: it opens a new group, and the old one keeps its sum
 * whether and whenever that last command takes effect.
 */
import type { Random } from '../../src/platform/clock.ts';
import type { Send } from '../recording.ts';
import { EVERY_WORKLOAD, type Step, type Workload } from './workload.ts';

/** One of them is not there, so that another one can take its place. */
const ACCOUNTS = 5;
const OPENING_BALANCE = 100;
const READ_ODDS = 0.5;
const RENAME_ODDS = 0.3;
/** A group is given up after so many commands: what a checker has to search grows with them. */
const COMMANDS_PER_GROUP = 300;

export const transfers: Workload = {
  name: 'transfers',
  checkers: [...EVERY_WORKLOAD, 'sums'],
  begin(run) {
    const groups: Group[] = [];
    return ({ client, random, send }): Step => {
      const group = new Group(`chaos:${run}:transfers:${client}`);
      groups.push(group);
      return async () => {
        if (random.float() < READ_ODDS) await groups[random.below(groups.length)]!.read(send);
        else await group.move(send, random);
      };
    };
  },
};

class Group {
  readonly #name: string;
  #generation = 0;
  #commands = 0;
  /** By account; null: not there. Undefined: not opened yet. */
  #balances: readonly (number | null)[] | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  async read(send: Send): Promise<void> {
    this.#commands++;
    await send(['MGET', ...this.#keys()]);
  }

  async move(send: Send, random: Random): Promise<void> {
    if (this.#commands >= COMMANDS_PER_GROUP) this.#startAnew();
    const { command, balances } =
      this.#balances === undefined
        ? this.#opening()
        : random.float() < RENAME_ODDS
          ? this.#renaming(this.#balances, random)
          : this.#paying(this.#balances, random);
    this.#commands++;
    const { outcome } = await send(command);
    if (outcome === 'ok') this.#balances = balances;
    if (outcome === 'unknown') this.#startAnew();
  }

  #startAnew(): void {
    this.#generation++;
    this.#commands = 0;
    this.#balances = undefined;
  }

  #keys(): string[] {
    return Array.from({ length: ACCOUNTS }, (_, i) => this.#key(i));
  }

  #key(account: number): string {
    return `${this.#name}.${this.#generation}.${account}`;
  }

  #opening(): Move {
    const balances = Array.from({ length: ACCOUNTS }, (_, i) => (i === 0 ? null : OPENING_BALANCE));
    const pairs = balances.flatMap((balance, i) =>
      balance === null ? [] : [this.#key(i), String(balance)],
    );
    return { command: ['MSETNX', ...pairs], balances };
  }

  /** Any amount between two accounts that are there; balances may become negative. */
  #paying(balances: readonly (number | null)[], random: Random): Move {
    const there = balances.flatMap((balance, i) => (balance === null ? [] : [i]));
    const at = random.below(there.length);
    const from = there[at]!;
    const to = there[(at + 1 + random.below(there.length - 1)) % there.length]!;
    const amount = 1 + random.below(OPENING_BALANCE);
    const left = balances[from]! - amount;
    const more = balances[to]! + amount;
    return {
      command: ['MSET', this.#key(from), String(left), this.#key(to), String(more)],
      balances: balances.with(from, left).with(to, more),
    };
  }

  /** An account takes the place of the one that is not there. */
  #renaming(balances: readonly (number | null)[], random: Random): Move {
    const to = balances.indexOf(null);
    const from = (to + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    return {
      command: ['RENAME', this.#key(from), this.#key(to)],
      balances: balances.with(to, balances[from]!).with(from, null),
    };
  }
}

interface Move {
  readonly command: readonly string[];
  /** What the accounts hold once it is done. */
  readonly balances: readonly (number | null)[];
}
