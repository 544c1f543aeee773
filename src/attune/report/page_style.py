"""How the report page looks: one sheet, for light and dark, for a screen of any width, and for paper."""

from attune.report.charts import RULES

_SHEET = """
:root{--paper:#ffffff;--ink:#1b1b1f;--soft:#55555e;--faint:#d7d7de;--box:#f5f5f8;--base:#a34100;--tuned:#1d4ed8;--good:#146c2e;--bad:#b3261e;color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#16181d;--ink:#ececf1;--soft:#b4b4c0;--faint:#3b3d47;--box:#20232b;--base:#ffb266;--tuned:#93b4ff;--good:#7ddc95;--bad:#ff9d94}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
main,header,footer{max-width:66rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.5rem;line-height:1.25;margin:1.5rem 0 1rem}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--faint)}
h3{font-size:1.05rem;margin:1.5rem 0 .25rem}
h4{font-size:1rem;margin:0 0 .25rem;font-weight:600}
p,ul,dl{margin:.5rem 0}
a{color:var(--tuned)}
:focus-visible{outline:3px solid var(--tuned);outline-offset:2px}
.soft{color:var(--soft)}
.verdict{border:1px solid var(--faint);border-left:.5rem solid var(--good);background:var(--box);padding:.75rem 1rem;border-radius:.25rem}
.verdict.no{border-left-color:var(--bad)}
.verdict .word{font-size:1.25rem;font-weight:700;color:var(--good);margin:0}
.verdict.no .word{color:var(--bad)}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding:.25rem 0;caption-side:top}
caption span{display:inline-block;max-width:calc(100vw - 2rem);position:sticky;left:0}
th,td{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--faint);vertical-align:top;text-align:right}
th:first-child{text-align:left;min-width:6.5rem}
td,thead th{overflow-wrap:normal}
td.text,th.text{text-align:left;overflow-wrap:anywhere}
th{font-weight:600}
td small,th small{display:block;color:var(--soft);font-weight:400}
.better{color:var(--good)}
.worse{color:var(--bad)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.5rem 2.5rem}
figure{margin:0;max-width:32rem}
figure svg{width:100%;height:auto;display:block}
figcaption{margin-bottom:.25rem}
figcaption b{display:block}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;padding:0;margin:.5rem 0;list-style:none}
.key svg{width:1.2rem;height:1.2rem;vertical-align:middle}
.examples{list-style:none;padding:0;display:grid;gap:.75rem}
.examples>li{border:1px solid var(--faint);border-radius:.25rem;padding:.6rem .8rem;content-visibility:auto;contain-intrinsic-size:auto 13rem}
.examples dl{display:grid;grid-template-columns:10rem 1fr;gap:.1rem .75rem;margin:.25rem 0}
dt{color:var(--soft)}
dd{margin:0}
.terms dt{color:var(--ink);font-weight:600;margin-top:.5rem}
audio{display:block;width:100%;max-width:24rem;height:2.5rem;margin:.25rem 0}
.sub{border-bottom:2px dotted var(--base)}
.sub b{color:var(--base)}
.sub s{color:var(--soft);font-size:.85em;margin-left:.25em}
del{color:var(--bad);text-decoration:line-through 2px}
ins{color:var(--tuned);text-decoration:underline double}
.none{color:var(--soft);font-style:italic}
.vh{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip{position:absolute;left:-99rem}
.skip:focus{position:static}
details{margin:.5rem 0}
summary{cursor:pointer;padding:.25rem 0}
footer{margin-top:3rem;padding-bottom:2rem;color:var(--soft)}
@media (max-width:40rem){.examples dl{grid-template-columns:1fr}.examples dd{margin-bottom:.4rem}th,td{padding-right:.4rem;font-size:.9rem}}
@media (min-width:40.01rem){td:not(.text),td small{white-space:nowrap}}
@media print{audio{display:none}.examples>li,figure{break-inside:avoid}}
"""  # noqa: E501
STYLE = _SHEET + RULES
