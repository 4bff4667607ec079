/** From the body of an answer to the bytes of a value. */
import { sliceAt } from './json-pointer.ts';

export type Extracted =
  /** A binary string. */
  | { readonly kind: 'value'; readonly value: string }
  /** The source has the key and says it has no value (`null`). */
  | { readonly kind: 'null' }
  | { readonly kind: 'garbage'; readonly reason: string };

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** With the `u` flag, surrogates that form a pair are one character and do not match. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const garbage = (reason: string): Extracted => ({ kind: 'garbage', reason });

/**
 * Strings become their UTF-8 bytes, numbers their decimal text, booleans `true` or `false`, objects and
 * arrays their JSON text as the source wrote it, `null` no value.
 */
export function extractValue(body: Buffer, tokens: readonly string[]): Extracted {
  let json: string;
  try {
    json = UTF8.decode(body);
    JSON.parse(json);
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'is not JSON' : 'is not UTF-8 text';
    return garbage(`the answer ${reason}`);
  }
  const source = sliceAt(json, tokens);
  if (source === undefined) {
    return garbage(`the answer has nothing at /${tokens.join('/')}`);
  }
  return mapValue(source);
}

function mapValue(source: string): Extracted {
  if (source === 'null') return { kind: 'null' };
  if (source.startsWith('"')) {
    const text = JSON.parse(source) as string;
    // Half a surrogate pair has no UTF-8 form; writing U+FFFD instead would change the value.
    if (LONE_SURROGATE.test(text)) return garbage('the value is not well-formed text');
    return { kind: 'value', value: binary(text) };
  }
  if (/^[-0-9]/.test(source)) return mapNumber(source);
  return { kind: 'value', value: binary(source) };
}

/** Plain decimals stay as they are, digit by digit; `1e3` becomes `1000`. */
function mapNumber(source: string): Extracted {
  if (/^-?[0-9]+(\.[0-9]+)?$/.test(source)) return { kind: 'value', value: source };
  const number = Number(source);
  if (!Number.isFinite(number)) return garbage('the value is a number out of range');
  return { kind: 'value', value: String(number) };
}

function binary(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
