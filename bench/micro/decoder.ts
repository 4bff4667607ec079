/**
 * RequestDecoder against redis-parser on what clients send: pipelined 64-byte SETs, and one command
 * a chunk. Run: `npx tsx bench/micro/decoder.ts`.
 *
 * Fair setup: the same chunks (64 KiB, cut wherever they end, as a socket delivers them), runs in
 * turn, the best of five, and both must deliver binary-safe arguments; redis-parser is shown in its
 * text mode (not binary-safe: UTF-8), its Buffer mode, and Buffer mode turned into binary strings.
 */
import RedisParser from 'redis-parser';
import { MULTIBULK_MAX, RequestDecoder } from '../../src/resp/decoder.ts';

const COMMANDS = 200_000;
const CHUNK_BYTES = 64 * 1024;
const ROUNDS = 5;

const frame = (args: string[]): string =>
  `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;

/** The stream of SETs with a 16-byte key and a 64-byte value, cut into chunks. */
function pipelinedSets(): Buffer[] {
  const parts: string[] = [];
  for (let n = 0; n < COMMANDS; n++) {
    parts.push(frame(['SET', `key:${String(n).padStart(12, '0')}`, 'v'.repeat(64)]));
  }
  const bytes = Buffer.from(parts.join(''), 'latin1');
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
    chunks.push(bytes.subarray(at, at + CHUNK_BYTES));
  return chunks;
}

const singleGets = (): Buffer[] =>
  Array.from({ length: COMMANDS }, (_, n) =>
    Buffer.from(frame(['GET', `key:${String(n).padStart(12, '0')}`]), 'latin1'),
  );

/** A decoder under test: feeds all chunks, returns the sum of argument lengths (so that nothing is optimised away). */
type Decode = (chunks: Buffer[]) => number;

const ours: Decode = (chunks) => {
  const decoder = new RequestDecoder({
    protoMaxBulkLen: 512 * 1024 * 1024,
    multibulkMax: MULTIBULK_MAX,
  });
  let sum = 0;
  for (const chunk of chunks) {
    decoder.feed(chunk);
    for (let args = decoder.next(); args !== null; args = decoder.next()) {
      for (const arg of args) sum += arg.length;
    }
  }
  return sum;
};

const redisParser =
  (returnBuffers: boolean, toStrings: boolean): Decode =>
  (chunks) => {
    let sum = 0;
    const parser = new RedisParser({
      returnBuffers,
      returnReply(args: (string | Buffer)[]) {
        for (const arg of args) {
          sum += toStrings ? (arg as Buffer).toString('latin1').length : arg.length;
        }
      },
      returnError(error: Error) {
        throw error;
      },
    });
    for (const chunk of chunks) parser.execute(chunk);
    return sum;
  };

const CANDIDATES: [string, Decode][] = [
  ['RequestDecoder (binary strings)', ours],
  ['redis-parser, text (not binary-safe)', redisParser(false, false)],
  ['redis-parser, Buffers', redisParser(true, false)],
  ['redis-parser, Buffers made binary strings', redisParser(true, true)],
];

for (const [label, chunks] of [
  ['pipelined SET, 64 bytes', pipelinedSets()],
  ['one GET a chunk', singleGets()],
] as const) {
  const best = new Map<string, number>();
  const sums = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, decode] of CANDIDATES) {
      const began = process.hrtime.bigint();
      sums.add(decode(chunks));
      const seconds = Number(process.hrtime.bigint() - began) / 1e9;
      best.set(name, Math.max(best.get(name) ?? 0, COMMANDS / seconds));
    }
  }
  if (sums.size !== 1) throw new Error('the decoders do not agree');
  console.log(`${label}:`);
  for (const [name, rate] of best)
    console.log(`  ${name.padEnd(44)} ${(rate / 1e6).toFixed(2)} million/s`);
}
