/** Style of the page: light and dark as the reader's system is, and one column on a phone. */
import { Markup } from '../../../chaos/report/markup.ts';

export const STYLE = new Markup(`
:root { --text: #1b1f24; --dim: #57606a; --back: #ffffff; --line: #d0d7de; --track: #eef1f4;
  --ours: #0b63c5; --peer: #8a94a0; --pass: #1a7f37; --miss: #c4341f; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --dim: #9aa5b1; --back: #0f1419; --line: #30363d; --track: #1f262d;
    --ours: #58a6ff; --peer: #7d8894; --pass: #3fb950; --miss: #ff7b6b; } }
body { margin: 0; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
section { margin: 0 0 2.5rem; }
h1, h2, h3 { line-height: 1.25; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
.chart { margin: 1rem 0; }
.axis { margin: 0 0 .25rem; color: var(--dim); font-size: .9rem; }
.row { display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; margin: 0 0 .5rem; font-size: .9rem; }
.row svg { grid-column: 1 / -1; width: 100%; height: .8rem; display: block; }
.figure { font-variant-numeric: tabular-nums; text-align: right; }
.track { fill: var(--track); } .ours { fill: var(--ours); } .peer { fill: var(--peer); }
.pass { fill: var(--pass); } .miss { fill: var(--miss); }
.mark { stroke: var(--text); stroke-width: 2; vector-effect: non-scaling-stroke; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; min-width: 100%; }
caption { text-align: left; color: var(--dim); padding: .25rem 0; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; font-variant-numeric: tabular-nums; }
th[scope=row] { font-weight: normal; }
`);
