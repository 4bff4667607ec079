/** The look of the page, for light and dark, from the colours of the reader's system. */
import { Markup } from './markup.ts';

export const STYLE = new Markup(`
:root { color-scheme: light dark;
  --text: #1d2733; --quiet: #54606d; --page: #ffffff; --panel: #f4f6f8; --line: #d5dbe1;
  --good: #17683a; --bad: #b3261e; --open: #8a5a00;
  --ok: #2468b8; --refused: #c98500; --unknown: #c2362b; --p50: #0f766e; --p99: #7c3aed; --max: #98a2ad;
  --f0: #d9534f; --f1: #2b8cbe; --f2: #b7791f; --f3: #6b46c1; --f4: #2f855a; --f5: #c05299; --f6: #4a5568; --f7: #0d7f86; }
@media (prefers-color-scheme: dark) { :root {
  --text: #e4e9ee; --quiet: #a3aeb9; --page: #14191f; --panel: #1d242c; --line: #38424d;
  --good: #63c98a; --bad: #ff8a80; --open: #f0b849;
  --ok: #6aaef5; --refused: #f0b849; --unknown: #ff7b70; --p50: #4fd1c5; --p99: #b79cff; --max: #77828e;
  --f0: #ff8a80; --f1: #6ec1e4; --f2: #e6b45c; --f3: #b79cff; --f4: #68d391; --f5: #f29bcb; --f6: #a0aec0; --f7: #4fd1c5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 80rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0.2rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 0.6rem; }
p { margin: 0.3rem 0; } .quiet { color: var(--quiet); }
a { color: inherit; } a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--ok); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; } .skip:focus { position: static; }
.status { font-weight: 700; white-space: nowrap; }
.holds { color: var(--good); } .broken { color: var(--bad); } .undecided, .not-judged { color: var(--open); }
.overall { display: inline-block; padding: 0.2rem 0.8rem; border: 2px solid currentColor; border-radius: 0.4rem; font-size: 1.1rem; }
dl.facts { display: flex; flex-wrap: wrap; gap: 0.4rem 2rem; margin: 1rem 0; } dl.facts div { min-width: 7rem; }
dt { color: var(--quiet); font-size: 0.85rem; } dd { margin: 0; font-size: 1.1rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 0.5rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; } caption { text-align: left; padding: 0.5rem 0.8rem; color: var(--quiet); }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.8rem; border-top: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr:target { outline: 3px solid var(--ok); outline-offset: -3px; }
pre { margin: 0.4rem 0; padding: 0.6rem 0.8rem; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--page); border: 1px solid var(--line); border-radius: 0.4rem; font: 13px/1.45 ui-monospace, monospace; }
summary { cursor: pointer; }
.swatch { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 0.2em; margin-right: 0.4em; background: currentColor; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; padding: 0.6rem 0.8rem 0; font-size: 0.88rem; list-style: none; margin: 0; }
.timeline { display: block; width: 100%; min-width: 44rem; height: auto; padding: 0.4rem; }
.timeline text { fill: var(--text); font: 11px system-ui, sans-serif; } .timeline .tick { fill: var(--quiet); } .timeline .chart-title { font-weight: 600; }
.grid { stroke: var(--line); stroke-width: 1; } .band { fill: currentColor; opacity: 0.13; } .lane { fill: currentColor; opacity: 0.3; stroke: currentColor; }
.fault:focus-visible { outline: none; } .fault:focus-visible .lane { stroke-width: 3; opacity: 0.7; } .fault:hover .band, .fault:focus-visible .band { opacity: 0.3; }
${Array.from({ length: 8 }, (_, i) => `.f${i} { color: var(--f${i}); }`).join(' ')}
.area-ok { fill: var(--ok); opacity: 0.2; } polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
.line-ok { stroke: var(--ok); } .line-p50 { stroke: var(--p50); } .line-p99 { stroke: var(--p99); } .line-max { stroke: var(--max); stroke-dasharray: 3 3; }
.bar-refused { fill: var(--refused); } .bar-unknown { fill: var(--unknown); } .gap-stripe { fill: var(--bad); opacity: 0.45; }
.c-ok { color: var(--ok); } .c-refused { color: var(--refused); } .c-unknown { color: var(--unknown); } .c-p50 { color: var(--p50); } .c-p99 { color: var(--p99); } .c-max { color: var(--max); } .c-gap { color: var(--bad); }
@media print { .scroll { overflow: visible; } details > * { display: block; } }
`);
