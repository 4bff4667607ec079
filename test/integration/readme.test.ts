/**
 * The demonstrations of the README, run as they are written there, against `ringfence up`: only the
 * ports are others, so that a cluster that already runs on this machine does not matter.
 *
 * They need programs that a reader has and a test machine may lack; where one is missing there are
 * no tests here, and `npm test` says so above its summary.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runTool, type ToolResult } from '../clients/run-tool.ts';
import { freePortBlock } from '../support/cluster.ts';
import { toolOrNull } from '../support/redis-server.ts';
import { Up } from '../support/up.ts';
import { blocks, read, ROOT } from '../unit/docs/markdown.ts';

const TOOLS = ['redis-cli', 'psql', 'curl'];
const missing = TOOLS.filter((name) => toolOrNull(name) === null);

const scripts = blocks(read('README.md'))
  .filter(({ mark }) => mark === 'runs: local')
  .map(({ text }) => text);

/** What the README says, by what the tests start instead. */
let ports = new Map<string, number>();
let folder = '';
let up: Up | undefined;

describe('the README', () => {
  it('has three demonstrations that run on this machine', () => {
    expect(scripts).toHaveLength(3);
  });
});

if (missing.length === 0) {
  describe('the demonstrations of the README', () => {
    beforeAll(async () => {
      execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs')], { stdio: 'inherit' });
      folder = mkdtempSync(join(tmpdir(), 'ringfence readme '));
      // For root, PostgreSQL runs as another user; where that one may not enter, the data would be kept elsewhere.
      chmodSync(folder, 0o755);
      const base = await freePortBlock(11);
      ports = new Map([
        ['7001', base],
        ['7002', base + 1],
        ['7003', base + 2],
        ['55432', base + 9],
        ['8001', base + 10],
      ]);
      const flags = {
        port: base,
        'http-port': base + 3,
        'link-port': base + 6,
        'postgres-port': base + 9,
        'legacy-port': base + 10,
      };
      const args = Object.entries(flags).flatMap(([name, port]) => [`--${name}`, String(port)]);
      up = new Up(join(ROOT, 'dist', 'cli', 'main.js'), ['up', ...args], folder);
      await up.printed(/^ready/m);
    });

    afterAll(async () => {
      await up?.stop('SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    });

    it('a key comes over from the legacy API, which is asked once', async () => {
      const user = '{"id":1001,"name":"User 1001","email":"user1001@example.com"}';
      const { code, stdout } = await run(scripts[0]!);
      expect(stdout).toBe(`${user}\n${user}\n{"key":"user:1001","calls":1}`);
      expect(code).toBe(0);
    });

    it('SQL sees what was written', async () => {
      const { code, stdout } = await run(scripts[1]!);
      expect(stdout).toMatch(/^ greeting +\| \d{4}-\d\d-\d\d \d\d:\d\d/m);
      expect(stdout).toMatch(/^ greeting +\| hello +\| \d{4}-\d\d-\d\d \d\d:\d\d/m);
      expect(stdout).toMatch(/^ user:1001 +\| \{"id":1001,/m);
      expect(code).toBe(0);
    });

    it('a node is killed, the data is still there, and the node comes back', async () => {
      const { code, stdout } = await run(scripts[2]!);
      expect(stdout).toBe('OK\n1\n2\n');
      expect(code).toBe(0);
      await up!.printed(/^node-1 started again/m);
    });
  });
}

function run(script: string): Promise<ToolResult> {
  const text = script.replace(/\b(?:700[123]|55432|8001)\b/g, (port) => String(ports.get(port)));
  return runTool('bash', ['-e', '-c', `cd '${folder}'\n${text}`]);
}
