/** Between a workload and the connection of a client: what is sent through here is in the history. */
import type { History, Outcome, ReplyValue } from './history.ts';

/** What a client was told about one command. */
export interface Answer {
  readonly outcome: Outcome;
  /** The reply, or the text of the error. */
  readonly reply: ReplyValue;
  /** The node that it was sent to. */
  readonly node: string;
}

/** Sends one command, once, and never rejects. What could not be sent at all is refused. */
export type Send = (command: readonly string[]) => Promise<Answer>;

export interface RecordingOptions {
  readonly history: History;
  readonly workload: string;
  readonly client: string;
  /** The axis of the history, milliseconds. */
  readonly nowMs: () => number;
}

export function recorded(send: Send, { history, workload, client, nowMs }: RecordingOptions): Send {
  return async (command) => {
    const operation = { workload, client, command, startedAtMs: nowMs() };
    history.sent(operation);
    const answer = await send(command);
    history.answered(operation, { ...answer, endedAtMs: nowMs() });
    return answer;
  };
}

/**
 * What an error reply says about the data: its text is as in `docs/errors.md`, where UNKNOWN alone means that
 * the command may have taken effect.
 */
export function outcomeOfError(text: string): Outcome {
  return text.startsWith('UNKNOWN') ? 'unknown' : 'refused';
}
