import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exposition } from '../../../../src/http/metrics/exposition.ts';
import { labelled, type Metric, single } from '../../../../src/http/metrics/metric.ts';
import { parseExposition, valueOf } from '../../../support/exposition.ts';

const textOf = (...metrics: Metric<null>[]): string => exposition(metrics, null);

describe('the text', () => {
  test('has help, type and samples of each metric, in the order of the table', () => {
    const text = textOf(
      single('gauge', 'a_bytes', 'The a.', () => 12),
      labelled('counter', 'b_total', 'The b.', ['x', 'y'], () => [
        ['1', 'one', 0.5],
        ['2', 'two', 1e21],
      ]),
    );
    expect(text).toBe(
      '# HELP a_bytes The a.\n' +
        '# TYPE a_bytes gauge\n' +
        'a_bytes 12\n' +
        '# HELP b_total The b.\n' +
        '# TYPE b_total counter\n' +
        'b_total{x="1",y="one"} 0.5\n' +
        'b_total{x="2",y="two"} 1e+21\n',
    );
  });

  test('keeps help and type of a metric that has nothing to tell', () => {
    const text = textOf(single('gauge', 'a', 'The a.', () => null));
    expect(text).toBe('# HELP a The a.\n# TYPE a gauge\n');
  });

  test.each([
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [Number.NaN, 'NaN'],
    [0, '0'],
    [-1.5, '-1.5'],
    [1e-7, '1e-7'],
    [2 ** 53, '9007199254740992'],
  ])('writes the number %d as %s', (value, written) => {
    expect(textOf(single('gauge', 'a', 'The a.', () => value))).toMatch(`\na ${written}\n`);
  });

  test('escapes what would end a label or a line', () => {
    const text = textOf(labelled('gauge', 'a', 'One\nline \\ only.', ['x'], () => [['"\\\n', 1]]));
    expect(text).toBe('# HELP a One\\nline \\\\ only.\n# TYPE a gauge\na{x="\\"\\\\\\n"} 1\n');
  });

  test('tells a series once, with its first number, when it is there twice', () => {
    const rows = (): [string, number][] => [
      ['x', 1],
      ['x', 2],
      ['y', 3],
    ];
    const families = parseExposition(textOf(labelled('gauge', 'a', 'The a.', ['l'], rows)));
    expect([...families.get('a')!.samples]).toEqual([
      ['{l="x"}', 1],
      ['{l="y"}', 3],
    ]);
  });

  test('is read back as it was meant, whatever labels and numbers are', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 5 }),
        fc.double({ noNaN: true }),
        (labels, value) => {
          const rows = labels.map((label): [string, number] => [label, value]);
          const text = textOf(
            labelled('gauge', 'a', 'The a.', ['l'], () => rows),
            single('gauge', 'b', 'The b.', () => value),
          );
          const families = parseExposition(text);
          expect(families.get('a')!.samples.size).toBe(labels.length);
          // The format has no sign for 0.
          expect(valueOf(families, 'b')).toBe(value + 0);
        },
      ),
    );
  });
});

describe('the parser of the tests refuses', () => {
  const HEAD = '# HELP a A.\n# TYPE a counter\n';
  test.each([
    ['no line feed at the end', `${HEAD}a 1`],
    ['a sample without a head', 'a 1\n'],
    ['a head without a type', '# HELP a A.\na 1\n'],
    ['a type before the help', '# TYPE a counter\n# HELP a A.\na 1\n'],
    ['help and type of two metrics', '# HELP b B.\n# TYPE a counter\na 1\n'],
    ['a sample of another metric', `${HEAD}b 1\n`],
    ['a family twice', `${HEAD}a 1\n${HEAD}`],
    ['a series twice', `${HEAD}a{x="1"} 1\na{x="1"} 2\n`],
    ['a label twice', `${HEAD}a{x="1",x="2"} 1\n`],
    ['an open quote', `${HEAD}a{x="1} 1\n`],
    ['an escape that there is not', `${HEAD}a{x="\\t"} 1\n`],
    ['a word for a number', `${HEAD}a undefined\n`],
    ['a hexadecimal number', `${HEAD}a 0x10\n`],
    ['a counter below 0', `${HEAD}a -1\n`],
    ['a counter that is no number', `${HEAD}a NaN\n`],
    ['an empty line', `${HEAD}\na 1\n`],
  ])('%s', (_label, text) => {
    expect(() => parseExposition(text)).toThrow();
  });
});
