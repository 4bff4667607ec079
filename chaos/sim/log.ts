/** The log of a simulated node. */
import type { Logger } from '../../src/platform/logger.ts';

export interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

/** Keeps its lines in memory, so that a test can look at them. */
export class QuietLog implements Logger {
  readonly lines: LogLine[] = [];
  readonly #onLine: ((line: LogLine) => void) | undefined;

  /** `onLine` sees every line as it is written. */
  constructor(onLine?: (line: LogLine) => void) {
    this.#onLine = onLine;
  }

  debug(fields: object, message: string): void {
    this.#add('debug', fields, message);
  }
  info(fields: object, message: string): void {
    this.#add('info', fields, message);
  }
  warn(fields: object, message: string): void {
    this.#add('warn', fields, message);
  }
  error(fields: object, message: string): void {
    this.#add('error', fields, message);
  }
  child(): Logger {
    return this;
  }
  #add(level: string, fields: object, message: string): void {
    const line = { level, fields, message };
    this.lines.push(line);
    this.#onLine?.(line);
  }
}
