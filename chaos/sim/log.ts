/** The log of a simulated node. */
import type { Logger } from '../../src/platform/logger.ts';

/** Keeps its lines in memory, so that a test can look at them. */
export class QuietLog implements Logger {
  readonly lines: { level: string; fields: object; message: string }[];

  constructor(lines: QuietLog['lines'] = []) {
    this.lines = lines;
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
    this.lines.push({ level, fields, message });
  }
}
