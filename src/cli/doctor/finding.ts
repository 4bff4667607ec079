/** One line of the doctor's report. */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was looked at: `database`, `clock`, ... */
  readonly about: string;
  readonly text: string;
  /** What to do; for warnings and failures. */
  readonly fix?: string;
}

export const ok = (about: string, text: string): Finding => ({ level: 'ok', about, text });
export const warn = (about: string, text: string, fix: string): Finding => ({
  level: 'warn',
  about,
  text,
  fix,
});
export const fail = (about: string, text: string, fix: string): Finding => ({
  level: 'fail',
  about,
  text,
  fix,
});

const MARKS = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' } as const;

export function formatFinding({ level, about, text, fix }: Finding): string {
  const line = `${MARKS[level]}  ${about.padEnd(9)}  ${text}`;
  return fix === undefined ? line : `${line}\n                 fix: ${fix}`;
}
