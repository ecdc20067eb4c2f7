"""The style sheet of report pages: light and dark by the reader's own setting, for phones, and legible on paper."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5b6470; --line: #d9dee4; --page: #ffffff; --panel: #f4f6f8;
  --c0: #1f6fb4; --c1: #c8501e; --c2: #2a8a4a; --c3: #8a4fb0; --c4: #a07a00; --c5: #b0305a;
  --good: #18703a; --fair: #8a5a00; --bad: #b3261e; --none: #5b6470; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #a3adb8; --line: #39414b; --page: #15181c;
  --panel: #1f242a; --c0: #6cb2f0; --c1: #f39468; --c2: #6fce8d; --c3: #c79ae6; --c4: #e0bc4c; --c5: #f083a6;
  --good: #6fce8d; --fair: #e8bd55; --bad: #ff8f85; --none: #a3adb8; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", sans-serif; color: var(--ink);
  background: var(--page); max-width: 66rem; margin: 1.2rem auto 4rem; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: clamp(2rem, 7vw, 3.2rem); line-height: 1.1; margin: .2rem 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
small, .says, .reason, .way, .kicker, figcaption, summary, nav { color: var(--soft); }
small, figcaption, summary, nav, .reason, .way { font-size: .85rem; font-weight: 400; }
a { color: inherit; } summary { cursor: pointer; } p { margin: .4rem 0; }
.good { --tone: var(--good); } .fair { --tone: var(--fair); } .bad { --tone: var(--bad); } .none { --tone: var(--none); }
b.good, b.bad, span.good, span.bad, span.none, .grade { color: var(--tone); white-space: nowrap; }
span.meant { font-weight: 700; }
.verdict { background: var(--panel); border-left: .6rem solid var(--tone); border-radius: 6px; padding: .8rem 1.2rem 1rem; }
.verdict h1 { color: var(--tone); }
.symbol { display: inline-block; min-width: 1.25em; height: 1.25em; line-height: 1.2em; border-radius: 50%;
  border: .08em solid; text-align: center; font-size: .8em; vertical-align: .06em; }
h3 .symbol { color: var(--tone); }
.use { font-size: 1.15rem; max-width: 48rem; margin: 0; } .kicker { margin: 0; font-size: .95rem; }
.ladder { display: flex; list-style: none; padding: 0; margin: .8rem 0 0; gap: 3px; font-size: .8rem; color: var(--soft); }
.ladder li { flex: 1 1 auto; border-top: .35rem solid var(--line); padding-top: .15rem; }
.ladder .here { border-color: var(--tone); color: var(--ink); font-weight: 700; }
.dials, .pairs, .findings { list-style: none; padding: 0; display: grid; gap: .8rem; margin: .8rem 0; }
.dials { grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); }
.dials > li, .findings > li, .pairs > li { background: var(--panel); border-radius: 6px; padding: .6rem .9rem; }
.dials h2 { font-size: 1rem; margin: 0; } .dials p { margin: 0; font-size: .92rem; }
.dials .big { font-size: 1.7rem; font-weight: 650; line-height: 1.2; display: flex; flex-wrap: wrap;
  justify-content: space-between; align-items: baseline; } .dials .unit { color: var(--soft); }
.grade { font-size: .95rem; font-weight: 700; } .dials svg.bar { margin-top: .3rem; }
.dials .ends { display: flex; justify-content: space-between; font-size: .78rem; color: var(--soft); margin-bottom: .3rem; }
.urgent { border: 2px solid var(--line); border-radius: 6px; padding: .4rem .9rem; } .urgent h2 { margin: 0; font-size: 1rem; }
.strip { margin: .8rem 0; } .strip p { margin: 0 0 .2rem; }
.items.row { display: grid; grid-template-columns: repeat(12, 1fr); } .row .item { width: 100%; }
.items { display: flex; flex-wrap: wrap; gap: 4px; align-items: flex-start; }
img { max-width: 100%; } .item { border-radius: 3px; border: 1px solid var(--line); height: auto; }
.small { image-rendering: pixelated; }
.pairs { grid-template-columns: repeat(auto-fill, minmax(min(14rem, 46%), 1fr)); } .pairs p { margin: .1rem 0; font-size: .9rem; }
.pairs figure { flex: 1; margin: 0; } .pairs .item { width: 100%; }
.findings > li { border-left: .3rem solid var(--tone); } .findings h3 { margin: 0; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; border-block: 1px solid var(--line); padding: .4rem 0; margin-top: 1.6rem; }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; max-width: 100%; }
figure.chart { display: block; margin-right: 0; }
figure img { image-rendering: pixelated; border: 1px solid var(--line); }
svg { width: 100%; height: auto; border-radius: 6px; } .chart svg { background: var(--panel); }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .band { fill: var(--c0); opacity: .18; stroke: none; }
svg .ahead { stroke-dasharray: 6 4; } svg .curve { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
svg.bar { display: block; height: 16px; } td svg.bar { width: 7rem; }
.bar .track { fill: none; stroke: var(--soft); stroke-width: 1; } .bar .fill { fill: var(--tone, var(--c0)); }
.bar .unknown { fill: none; stroke: var(--soft); stroke-dasharray: 4 4; }
.bar .whisker { stroke: var(--ink); stroke-width: 2; }
svg.scale { width: 13.75rem; min-width: 11rem; } svg.icon { width: 16px; vertical-align: -3px; margin-right: .3rem; }
.axis { stroke: var(--line); stroke-width: 2; } .scale .whisker { stroke: var(--c0); stroke-width: 3; }
circle.value { fill: var(--c0); } .mark { stroke: var(--ink); stroke-width: 1.4; fill: var(--page); }
.mark.floor { fill: var(--c2); stroke: var(--c2); } .mark.copies { stroke: var(--c3); }
.mark.baseline { stroke: var(--c1); fill: none; stroke-width: 2; }
.legend { font-size: .85rem; }
.c0 { stroke: var(--c0); background: var(--c0); } .c1 { stroke: var(--c1); background: var(--c1); }
.c2 { stroke: var(--c2); background: var(--c2); } .c3 { stroke: var(--c3); background: var(--c3); }
.c4 { stroke: var(--c4); background: var(--c4); } .c5 { stroke: var(--c5); background: var(--c5); }
.key { margin-right: 1rem; white-space: nowrap; }
.key i { display: inline-block; width: 1.1rem; height: .2rem; margin-right: .35rem; vertical-align: middle; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 500; color: var(--soft); padding-right: 1.2rem;
  vertical-align: top; } td, th { border-bottom: 1px solid var(--line); padding-top: .25rem; padding-bottom: .25rem; }
td { vertical-align: top; padding-right: 1rem; } .figures td { white-space: nowrap; } td .reason { white-space: normal; } td table td, td table th { border: 0; }
thead th { font-size: .85rem; vertical-align: bottom; } tbody th[scope] { color: var(--ink); }
.figures th .says, .figures th .way { display: block; } .figures th .says { font-size: .9rem; font-weight: 400; }
.figures th[scope=row] { max-width: 24rem; } td small { display: block; white-space: nowrap; } .figures td b { font-size: 1.1rem; }
.wide { overflow-x: auto; } .beside { display: flex; flex-wrap: wrap; gap: 0 3rem; } .grid th[scope=row] { min-width: 7rem; }
thead th { min-width: 4.6rem; }
pre { background: var(--panel); padding: .5rem .8rem; border-radius: 6px; overflow-x: auto; margin: .4rem 0; }
pre.item { white-space: pre-wrap; overflow-wrap: anywhere; font: .86rem/1.45 system-ui, "Segoe UI", "Noto Sans",
  "Noto Sans CJK SC", sans-serif; max-height: 13rem; overflow: auto; margin: 0; padding: .45rem .6rem; background: var(--page); }
.strip .items.row:has(> pre), .items.row:has(> pre) { grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: .5rem; }
.pairs:has(pre) { grid-template-columns: repeat(auto-fill, minmax(min(28rem, 100%), 1fr)); }
.items.row:has(> table) { grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: .5rem; }
.pairs:has(table.item) { grid-template-columns: repeat(auto-fill, minmax(min(32rem, 100%), 1fr)); }
table.item { font-size: .8rem; } table.item th, table.item td { padding: .1rem .5rem; white-space: nowrap; } table.item th { max-width: 8rem;
  overflow: hidden; text-overflow: ellipsis; } table.item { overflow: hidden; } table.item svg { width: 6.5rem; vertical-align: middle; }
.answers { display: grid; grid-template-columns: repeat(3, 1fr); gap: .4rem .5rem; margin: .8rem 0; }
mark { background: color-mix(in srgb, var(--c4) 30%, transparent); color: inherit; border-radius: 2px; }
.columns { list-style: none; padding: 0; display: grid; gap: .8rem; margin: .6rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); }
.columns > li { background: var(--panel); border-radius: 6px; padding: .5rem .8rem .4rem; }
.columns p { margin: 0 0 .2rem; display: flex; justify-content: space-between; gap: .6rem; align-items: baseline; }
.alike { color: var(--soft); font-size: .85rem; white-space: nowrap; }
.histogram .real { fill: var(--c2); } path.real { fill-opacity: .45; } .histogram path.made { fill: none; stroke: var(--c0); stroke-width: 1.8; }
.histogram rect.made { fill: var(--c0); } i.real { background: var(--c2); } i.made { background: var(--c0); }
.lines path { fill: none; stroke-width: 1.8; stroke-linejoin: round; } .lines path.real { stroke: var(--c2); } .lines path.made { stroke: var(--c0); } .lines path.axis { stroke: var(--line); }
.maps { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr)); }
.maps figure { margin: 0; } .map { background: var(--panel); } .map .more { fill: var(--c0); } .map .less { fill: var(--c1); }
.map .blank { fill: none; } i.more { background: var(--c0); } i.less { background: var(--c1); }
.spread { overflow-x: auto; width: max-content; min-width: 100%; max-width: min(100vw - 2rem, 92rem); margin-left: 50%; transform: translateX(-50%); } table.rows { font-size: .77rem; margin: .4rem 0; } .rows td, .rows thead th { padding: .18rem .55rem .18rem 0; white-space: nowrap; min-width: 0; font-size: inherit; }
.rows thead th { white-space: normal; overflow-wrap: anywhere; max-width: 8rem; min-width: 3rem; } .rows th[scope=row] { white-space: nowrap; padding-right: .55rem; }
.rows td.number { text-align: right; } .rows .part { padding-top: .6rem; white-space: nowrap; } .gone { color: var(--soft); font-style: italic; }
@media (max-width: 46rem) {
  .figures, .figures tbody, .figures tr, .figures th, .figures td { display: block; border: 0; padding: 0; }
  .figures thead { display: none; } .figures tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  .figures td::before { content: attr(data-label) ": "; color: var(--soft); font-size: .85rem; }
  .figures td small { display: inline; } .ladder { font-size: .62rem; } svg.scale { display: block; width: 100%; max-width: 22rem; }
  .items.row:not(:has(> pre, > table)) { grid-template-columns: repeat(6, 1fr); }
}
@media print { body { max-width: none; margin: 0; font-size: 11px; } .dials { grid-template-columns: repeat(4, 1fr); }
  h2, h3, .says { break-after: avoid; } .figures th[scope=row] { min-width: 16rem; } svg.scale { width: 11rem; }
  pre { white-space: pre-wrap; } nav { display: none; }
  section, li, tr, figure { break-inside: avoid-page; } section { break-inside: auto; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
