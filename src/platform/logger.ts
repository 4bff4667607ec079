/**
 * The part of pino's interface that the code uses, so that the simulator can hand in its own.
 * Messages are constants; data goes in fields. Never values; keys only at debug.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: Record<string, unknown>): Logger;
}
