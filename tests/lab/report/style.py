"""How the page looks: quiet, two palettes, one column on a telephone."""

from __future__ import annotations

CSS = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f5f6f8; --line: #d8dde3; --text: #1b2026; --muted: #59636e;
  --accent: #1d5fa6; --good: #176b3f; --good-soft: #e4f3ea; --bad: #b3261e; --bad-soft: #fbe8e6;
  --lost: #c0342b; --late: #9a6700; --delivered: #7f94a8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --panel: #1c2127; --line: #323a43; --text: #e5e9ed; --muted: #9ba6b2;
    --accent: #82b7f0; --good: #74d19d; --good-soft: #18301f; --bad: #ff8f85; --bad-soft: #3a1c1a;
    --lost: #e5665c; --late: #e8b455; --delivered: #61778c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 64rem; padding: 2.5rem 1.5rem 4rem;
  background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 3rem 0 1rem; font-size: 1.15rem; line-height: 1.3; }
h3 { margin: 0; font-size: 1rem; line-height: 1.35; }
p { margin: 0.35rem 0; max-width: 46rem; }
.muted, .note { color: var(--muted); }
.note { font-size: 0.867rem; }
.good { color: var(--good); } .bad { color: var(--bad); }

.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1px; margin: 1.75rem 0 0;
  border: 1px solid var(--line); border-radius: 8px; background: var(--line); overflow: hidden; }
.facts > div { padding: 0.8rem 1rem; background: var(--page); }
.facts dt { color: var(--muted); font-size: 0.867rem; }
.facts dd { margin: 0; font-weight: 600; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 0.55rem 0.75rem 0.55rem 0; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th, thead td { border-top: 0; color: var(--muted); font-weight: 500; font-size: 0.867rem; }
tbody th { font-weight: 500; }
td strong { font-weight: 600; }
td small, th small { display: block; color: var(--muted); font-size: 0.8rem; font-weight: 400; }
td small.bad { color: var(--bad); }
.three th:first-child { width: 40%; } .three td, .three thead th { width: 30%; }

.matrix { width: auto; border-collapse: separate; border-spacing: 2px; }
.matrix th, .matrix td { border: 0; padding: 0; }
.blocks { display: flex; flex-wrap: wrap; gap: 1.5rem 4rem; margin-top: 1rem; }
.blocks ~ .bad { font-size: 0.867rem; } .blocks + .bad { margin-top: 1rem; }
.matrix thead th { vertical-align: bottom; text-align: center; }
.matrix thead th span { writing-mode: vertical-rl; transform: rotate(180deg); padding: 0.2rem 0; white-space: nowrap; }
.matrix .corner { vertical-align: bottom; text-align: left; color: var(--muted); font-size: 0.8rem; }
.matrix tbody th { position: sticky; left: 0; padding-right: 0.75rem; background: var(--page); white-space: nowrap;
  font-size: 0.867rem; line-height: 1.75rem; }
.matrix td { min-width: 2.6rem; height: 1.75rem; border-radius: 4px; text-align: center; vertical-align: middle;
  font-size: 0.8rem; }
.matrix td.good { background: var(--good-soft); } .matrix td.bad { background: var(--bad-soft); font-weight: 700; }
.matrix td.same { color: var(--muted); }

.topology { display: block; margin-top: 0.5rem; }
.topology text { font-size: 12px; fill: var(--text); }
.topology .name { font-size: 14px; font-weight: 600; }
.topology .kind, .topology .key { fill: var(--muted); }
.box { fill: var(--panel); stroke: var(--line); }
.box.gateway { stroke: var(--accent); } .box.fabric { fill: var(--page); stroke: var(--muted); stroke-dasharray: 4 3; }
.tunnel { stroke: var(--accent); stroke-width: 2; } .port { fill: var(--accent); stroke: var(--page); }
.cable { stroke: var(--muted); }
.narrow { display: none; }

.trial { padding: 1.25rem 0; border-top: 1px solid var(--line); }
.trial .results { margin: 0.15rem 0 0.75rem; padding: 0; list-style: none; font-size: 0.867rem; color: var(--muted); }
.trial .results strong { color: var(--text); font-weight: 600; }
.trial .results .bad strong { color: var(--bad); }
.lane { display: grid; grid-template-columns: 11rem 1fr 14.5rem; grid-template-areas: "flow bar found";
  align-items: center; column-gap: 1rem; font-size: 0.867rem; }
.lane svg { grid-area: bar; display: block; }
.flow { grid-area: flow; overflow-wrap: anywhere; } .found { grid-area: found; } .quiet { color: var(--muted); }
.lanes text { font-size: 12px; fill: var(--muted); } .lanes .what { fill: var(--text); }
.delivered { fill: var(--delivered); } .lost { fill: var(--lost); } .late { fill: var(--late); }
.mark { stroke: var(--text); stroke-dasharray: 2 2; } .tick { stroke: var(--muted); }

.proofs { margin: 0; padding: 0; list-style: none; }
.proofs li { padding: 0.5rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.proofs pre { margin: 0.35rem 0 0; padding: 0.6rem 0.75rem; overflow-x: auto; border-radius: 6px;
  background: var(--panel); font-size: 0.8rem; line-height: 1.45; white-space: pre-wrap; }
summary { cursor: pointer; padding: 0.5rem 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

@media (max-width: 46rem) {
  body { padding: 1.5rem 1rem 3rem; }
  .facts { grid-template-columns: 1fr 1fr; }
  .wide { display: none; } .narrow { display: block; }
  .lane { grid-template-columns: auto auto; grid-template-areas: "flow found" "bar bar"; margin-bottom: 0.15rem; }
  .lane.bare { grid-template-columns: 1fr; grid-template-areas: "bar"; }
  .found { text-align: right; }
  .three th:first-child { width: 36%; } .three td, .three thead th { width: 32%; }
}
@media print { .trial { break-inside: avoid; } }
"""
