/** Small files as an argument: configuration, not data. */
export interface Disk {
  /** The file as UTF-8 text, or null when there is none. Rejects with the system's error otherwise. */
  readText(path: string): Promise<string | null>;
  /**
   * Replaces the file as a whole: whoever reads it sees the old text or the new one, also after a
   * crash. Rejects with the system's error, and then the old file is still there.
   */
  replaceText(path: string, text: string): Promise<void>;
}
