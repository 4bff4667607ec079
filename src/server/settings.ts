/** The options that sessions and the listener read. The live configuration has this shape. */

/** Bounds on replies that a client has not read; 0 means no bound. */
export interface OutputLimit {
  /** Closed at once above this, bytes. */
  readonly hardBytes: number;
  /** Closed when above this for `softSeconds`, bytes. */
  readonly softBytes: number;
  readonly softSeconds: number;
}

/** Values may change at any time (CONFIG SET), and hold from the next use on. */
export interface ServerSettings {
  /** Password of the default user; empty: none is asked for. */
  readonly requirepass: string;
  readonly maxclients: number;
  /** Idle seconds after which a client is disconnected; 0: never. */
  readonly timeout: number;
  /** Idle seconds after which TCP probes a client; 0: never. */
  readonly tcpKeepalive: number;
  /** Bytes. */
  readonly protoMaxBulkLen: number;
  /** Unfinished input of one client, bytes. */
  readonly clientQueryBufferLimit: number;
  readonly clientOutputBufferLimit: { readonly normal: OutputLimit };
  /** Commands under way of one client, above which its input is not read. */
  readonly clientPendingMax: number;
  /** Commands under way on this node, above which commands are refused with BUSY. */
  readonly pendingRequestsMax: number;
}
