/**
 * Effects on the wire between owners. A frame carries the effects of one operation:
 *
 *     u53 number in this primary's stream | u32 count | count times: u8 kind | u16 slot | u8 db | ...
 *
 * Besides the row changes of `storage/memory/effect.ts` there are kinds that only owners exchange.
 */
import type { Effect } from '../storage/memory/effect.ts';
import type { FlushPoint } from './flush-points.ts';
import { FrameError, type FrameReader, FrameWriter } from './wire.ts';

/** Append only: these numbers are on the wire. */
const WireKind = {
  Put: 1,
  Delete: 2,
  Expire: 3,
  Drop: 4,
  Mark: 5,
  Fill: 6,
  Flush: 7,
  Begin: 8,
  Filled: 9,
} as const;

const ALL_DATABASES = 255;
/** Of no flush: views begin with epoch 1. */
const NO_VERSION = { epoch: 0, seq: 0 };

/** What a replica is told about a key. */
export type OwnerEffect =
  | Effect
  /** Forget it: what memory says is not what the database says. */
  | { readonly kind: 'drop'; readonly slot: number; readonly db: number; readonly key: string }
  /** Ask the primary about it until further notice: somebody holds it for a transaction. */
  | { readonly kind: 'mark'; readonly slot: number; readonly db: number; readonly key: string }
  /** What the primary's memory has of a key. */
  | Fill
  /** A learner's slot is going to be filled from the start, with what the last flush there has left. */
  | { readonly kind: 'begin'; readonly slot: number; readonly point: FlushPoint | null }
  /** Everything the primary has of slots `slot`..`to` has been sent; `complete`: and that is all there is. */
  | {
      readonly kind: 'filled';
      readonly slot: number;
      readonly to: number;
      readonly complete: boolean;
    }
  /** All keys of slots `slot`..`to` up to that point are gone. */
  | {
      readonly kind: 'flush';
      readonly slot: number;
      readonly to: number;
      readonly point: FlushPoint;
    };

export interface Fill {
  readonly kind: 'fill';
  readonly slot: number;
  readonly db: number;
  readonly key: string;
  /** Null: a remembered absence. */
  readonly value: string | null;
  readonly expiresAtMs: number;
  readonly epoch: number;
  readonly seq: number;
  readonly persistent: boolean;
  /** Not yet known to be committed: clean once the watermark passes this frame's number. */
  readonly dirty: boolean;
}

const scratch = new FrameWriter(4096);

/** Encodes effects once, for every owner they go to. */
export function encodeEffects(effects: readonly OwnerEffect[]): Buffer {
  scratch.u32(effects.length);
  for (const effect of effects) encodeEffect(scratch, effect);
  return scratch.take();
}

/** Slots `slot`..`to`. */
export interface SlotRun {
  readonly slot: number;
  readonly to: number;
}

/** Runs of neighbouring slots for which `alike` holds of each two neighbours. `slots` ascend. */
export function slotRuns(
  slots: readonly number[],
  alike: (a: number, b: number) => boolean,
): SlotRun[] {
  const runs: { slot: number; to: number }[] = [];
  for (const slot of slots) {
    const last = runs.at(-1);
    if (last !== undefined && last.to === slot - 1 && alike(last.to, slot)) last.to = slot;
    else runs.push({ slot, to: slot });
  }
  return runs;
}

function encodeEffect(writer: FrameWriter, effect: OwnerEffect): void {
  switch (effect.kind) {
    case 'put':
      header(writer, WireKind.Put, effect);
      version(writer, effect);
      writer.u8(effect.persistent ? 1 : 0);
      writer.f64(effect.expiresAtMs);
      return writer.str(effect.value!);
    case 'delete':
    case 'expire':
      header(writer, effect.kind === 'delete' ? WireKind.Delete : WireKind.Expire, effect);
      version(writer, effect);
      writer.u8(effect.persistent ? 1 : 0);
      return writer.f64(effect.expiresAtMs);
    case 'fill':
      header(writer, WireKind.Fill, effect);
      version(writer, effect);
      writer.u8(
        (effect.persistent ? 1 : 0) | (effect.dirty ? 2 : 0) | (effect.value === null ? 4 : 0),
      );
      writer.f64(effect.expiresAtMs);
      return writer.str(effect.value ?? '');
    case 'begin':
      header(writer, WireKind.Begin, { slot: effect.slot, db: codeOf(effect.point), key: '' });
      return version(writer, effect.point ?? NO_VERSION);
    case 'filled':
      header(writer, WireKind.Filled, { slot: effect.slot, db: effect.complete ? 1 : 0, key: '' });
      return writer.u16(effect.to);
    case 'drop':
      return header(writer, WireKind.Drop, effect);
    case 'mark':
      return header(writer, WireKind.Mark, effect);
    case 'flush':
      header(writer, WireKind.Flush, { slot: effect.slot, db: codeOf(effect.point), key: '' });
      version(writer, effect.point);
      return writer.u16(effect.to);
  }
}

function header(
  writer: FrameWriter,
  kind: number,
  at: { slot: number; db: number; key: string },
): void {
  writer.u8(kind);
  writer.u16(at.slot);
  writer.u8(at.db);
  writer.str(at.key);
}

function version(writer: FrameWriter, of: { epoch: number; seq: number }): void {
  writer.u32(of.epoch);
  writer.u53(of.seq);
}

function codeOf(point: FlushPoint | null): number {
  return point?.db ?? ALL_DATABASES;
}

function pointOf(frame: FrameReader, code: number): FlushPoint {
  const epoch = frame.u32();
  return { epoch, seq: frame.u53(), db: code === ALL_DATABASES ? null : code };
}

export function decodeEffects(frame: FrameReader): OwnerEffect[] {
  const count = frame.u32();
  const effects: OwnerEffect[] = [];
  for (let i = 0; i < count; i++) effects.push(decodeEffect(frame));
  return effects;
}

function decodeEffect(frame: FrameReader): OwnerEffect {
  const kind = frame.u8();
  const slot = frame.u16();
  const db = frame.u8();
  const key = frame.str();
  switch (kind) {
    case WireKind.Put: {
      const epoch = frame.u32();
      const seq = frame.u53();
      const persistent = frame.u8() === 1;
      const expiresAtMs = frame.f64();
      return {
        kind: 'put',
        slot,
        db,
        key,
        epoch,
        seq,
        persistent,
        expiresAtMs,
        value: frame.str(),
      };
    }
    case WireKind.Delete:
    case WireKind.Expire: {
      const epoch = frame.u32();
      const seq = frame.u53();
      const persistent = frame.u8() === 1;
      const expiresAtMs = frame.f64();
      const name = kind === WireKind.Delete ? 'delete' : 'expire';
      return { kind: name, slot, db, key, epoch, seq, persistent, expiresAtMs, value: null };
    }
    case WireKind.Fill: {
      const epoch = frame.u32();
      const seq = frame.u53();
      const flags = frame.u8();
      const expiresAtMs = frame.f64();
      const text = frame.str();
      const value = (flags & 4) !== 0 ? null : text;
      const marks = { persistent: (flags & 1) !== 0, dirty: (flags & 2) !== 0 };
      return { kind: 'fill', slot, db, key, epoch, seq, expiresAtMs, value, ...marks };
    }
    case WireKind.Begin: {
      const point = pointOf(frame, db);
      return { kind: 'begin', slot, point: point.epoch === 0 ? null : point };
    }
    case WireKind.Filled:
      return { kind: 'filled', slot, to: frame.u16(), complete: db === 1 };
    case WireKind.Drop:
      return { kind: 'drop', slot, db, key };
    case WireKind.Mark:
      return { kind: 'mark', slot, db, key };
    case WireKind.Flush: {
      const point = pointOf(frame, db);
      return { kind: 'flush', slot, to: frame.u16(), point };
    }
    default:
      throw new FrameError(`unknown effect kind ${kind}`);
  }
}
