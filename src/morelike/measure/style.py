"""The style sheet of report pages: light and dark by the reader's own setting, and legible on paper."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #5b6470; --line: #d9dee4; --page: #ffffff; --panel: #f4f6f8;
  --c0: #1f6fb4; --c1: #c8501e; --c2: #2a8a4a; --c3: #8a4fb0; --c4: #a07a00; --c5: #b0305a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #a3adb8; --line: #39414b; --page: #15181c;
  --panel: #1f242a; --c0: #6cb2f0; --c1: #f39468; --c2: #6fce8d; --c3: #c79ae6; --c4: #e0bc4c; --c5: #f083a6; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; max-width: 100%; }
figure.chart { display: block; margin-right: 0; }
figure img { max-width: 100%; image-rendering: pixelated; border: 1px solid var(--line); }
figcaption, summary { color: var(--soft); font-size: .9rem; }
svg { width: 100%; height: auto; background: var(--panel); border-radius: 6px; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .curve { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.c0 { stroke: var(--c0); background: var(--c0); } .c1 { stroke: var(--c1); background: var(--c1); }
.c2 { stroke: var(--c2); background: var(--c2); } .c3 { stroke: var(--c3); background: var(--c3); }
.c4 { stroke: var(--c4); background: var(--c4); } .c5 { stroke: var(--c5); background: var(--c5); }
.key { margin-right: 1rem; white-space: nowrap; }
.key i { display: inline-block; width: 1.1rem; height: .2rem; margin-right: .35rem; vertical-align: middle; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 500; color: var(--soft); padding-right: 1.5rem;
  vertical-align: top; } td, th { border-bottom: 1px solid var(--line); padding-top: .2rem; padding-bottom: .2rem; }
td table td, td table th { border: 0; }
pre { background: var(--panel); padding: .5rem .8rem; border-radius: 6px; overflow-x: auto; margin: .4rem 0; }
@media print { body { max-width: none; } pre { white-space: pre-wrap; } }
"""
