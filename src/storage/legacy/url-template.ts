/** URL templates: where the key goes into the address of a legacy source. */

export interface RequestTarget {
  /** `http://host:port` */
  readonly origin: string;
  /** Path and query, ready to send. */
  readonly path: string;
}

/** Returns null when the key cannot stand in a URL: too long, or a dot segment that servers would resolve away. */
export type UrlTemplate = (key: string, prefix: string) => RequestTarget | null;

/** Servers commonly refuse longer request lines (Node and nginx: 16 and 8 KB for the whole head). */
const PATH_LENGTH_MAX = 8000;

/** `url` has `{key}` or `{suffix}` (the key without its prefix) after the origin; see `config/parse-policies.ts`. */
export function compileTemplate(url: string): UrlTemplate {
  const { origin } = new URL(url);
  const path = url.replace(/^https?:\/\/[^/?]*/i, '').replace(/#.*$/, '');
  const parts = (path.startsWith('/') ? path : `/${path}`).split(/(\{key\}|\{suffix\})/);
  return (key, prefix) => {
    if (key.length > PATH_LENGTH_MAX) return null;
    let filled = '';
    for (const part of parts) {
      if (part === '{key}') filled += encodeBytes(key);
      else if (part === '{suffix}') filled += encodeBytes(key.slice(prefix.length));
      else filled += part;
    }
    if (filled.length > PATH_LENGTH_MAX || hasDotSegment(filled)) return null;
    return { origin, path: filled };
  };
}

/** `.` and `..` mean something in a path, even encoded: the request would be for another key. */
function hasDotSegment(path: string): boolean {
  const [beforeQuery = ''] = path.split('?', 1);
  return beforeQuery.split('/').some((segment) => segment === '.' || segment === '..');
}

/**
 * Percent-encodes the bytes of a binary string. Letters, digits and `-._~` stay, and so does `:`, which
 * is allowed in path and query and keeps keys readable in the logs of the other side.
 */
export function encodeBytes(binary: string): string {
  return binary.replace(
    /[^A-Za-z0-9\-._~:]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
