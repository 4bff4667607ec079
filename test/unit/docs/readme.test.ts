import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { findOption } from '../../../src/config/options.ts';
import { blocks, commandLines, pages, read, ROOT } from './markdown.ts';

const README = read('README.md');
const SCRIPTS = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;

/** What the program itself prints; asked once for each command. */
const helpTexts = new Map<string, string>();
function help(...command: string[]): string {
  const name = command.join(' ');
  let text = helpTexts.get(name);
  if (text === undefined) {
    const main = join(ROOT, 'src/cli/main.ts');
    const args = ['--import', 'tsx', main, ...command, '--help'];
    text = execFileSync(process.execPath, args, { encoding: 'utf8', cwd: ROOT });
    helpTexts.set(name, text);
  }
  return text;
}

const lines = pages().flatMap((page) => commandLines(read(page)).map((line) => ({ page, line })));

/** Flags of a command line, without their values. */
const flagsOf = (words: string): string[] =>
  [...words.matchAll(/(?:^|\s)--([a-z][a-z-]*)/g)].map(([, name = '']) => name);

describe('commands in the documents', () => {
  test('every npm script exists', () => {
    const named = lines.flatMap(({ line }) => [...line.matchAll(/npm (?:run )?([a-z:]+)/g)]);
    const builtIn = new Set(['ci', 'install', 'run']);
    const unknown = named
      .map(([, name = '']) => name)
      .filter((name) => !builtIn.has(name) && SCRIPTS[name] === undefined);
    expect(unknown).toEqual([]);
  });

  test('every command of the program exists', () => {
    const named = lines.flatMap(({ line }) => {
      const match = /^(?:npx )?ringfence ([a-z]+)/.exec(line);
      return match === null ? [] : [match[1] ?? ''];
    });
    expect(named).toContain('doctor');
    const known = help();
    expect(named.filter((name) => !new RegExp(`^  ${name} `, 'm').test(known))).toEqual([]);
  });

  test('every flag is known to the command it is given to', () => {
    const unknown: string[] = [];
    for (const { page, line } of lines) {
      const match = /^(?:(npm start) --|(?:npx )?ringfence ([a-z]+))( .*)$/.exec(line);
      if (match === null) continue;
      const command = match[1] === undefined ? (match[2] ?? '') : 'up';
      for (const flag of flagsOf(match[3] ?? '')) {
        const known = flag === 'help' || flag === 'check-config' || findOption(flag) !== undefined;
        if (!known && !help(command).includes(`--${flag} `)) unknown.push(`${page}: ${line}`);
      }
    }
    expect(unknown).toEqual([]);
  });

  test('every flag of the chaos runs is in their help', () => {
    const source = read('chaos/options.ts');
    const flags = lines.flatMap(({ line }) => {
      const match = /^npm run chaos --( .*)$/.exec(line);
      return flagsOf(match?.[1] ?? '');
    });
    expect(flags).toContain('docker');
    expect(flags.filter((flag) => flag !== 'help' && !source.includes(`--${flag} `))).toEqual([]);
  });

  test('flags of `npm start` that stand alone in the README are known', () => {
    const alone = commandLines(README).filter((line) => /^--[a-z]/.test(line));
    expect(alone.length).toBeGreaterThan(3);
    const known = help('up');
    expect(alone.flatMap(flagsOf).filter((flag) => !known.includes(`--${flag}`))).toEqual([]);
  });
});

describe('README.md', () => {
  test('every shell block says where it runs', () => {
    const marks = blocks(README)
      .filter(({ language }) => language === 'sh')
      .map(({ mark }) => mark);
    expect(marks).toEqual(['runs: local', 'runs: local', 'runs: local', 'runs: docker']);
  });

  test('its services and ports are those of docker-compose.yml', () => {
    const compose = read('docker-compose.yml');
    const services = [...README.matchAll(/docker compose (?:kill|start|exec) (\w+)/g)];
    expect(services.length).toBeGreaterThan(2);
    for (const [, service = ''] of services) expect(compose).toContain(`\n  ${service}:\n`);
    for (const [, port = ''] of README.matchAll(/redis-cli -p (\d+)/g)) {
      expect(compose).toContain(`'${port}:7001'`);
    }
    expect(compose).toContain('container_name: postgres_db');
  });

  test('its configuration is accepted', () => {
    const [block] = blocks(README).filter(({ mark }) => mark === 'config');
    const { policies } = loadConfig({
      flags: {},
      env: {},
      file: { path: 'ringfence.config.json', text: block?.text ?? '' },
    });
    expect(policies.policyFor('session:1').persistent).toBe(false);
    expect(policies.policyFor('user:1').persistent).toBe(true);
  });
});
