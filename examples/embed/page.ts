/**
 * The page with all members.
 *
 * @module
 */

import { GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY } from "../../protocol/mod.ts";
import type { MemberSnapshot } from "../../node/mod.ts";
import { printable, type Snapshot } from "../../mod.ts";

/** The page; it reloads every second. */
export function pageOf({ self, cluster, phase, members }: Snapshot): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="1">
<meta name="viewport" content="width=device-width">
<title>Members of ${escaped(cluster)}</title>
<style>${STYLE}</style>
<h1>Members of ${escaped(cluster)}</h1>
<p>as <code>${escaped(self)}</code> sees them. Its state is ${PHASES[phase]}.</p>
<table>
<tr><th>member<th>address<th>status<th>state</tr>
${members.map(rowOf).join("\n")}
</table>
</html>
`;
}

const PHASES = {
  diffusing: "still spreading",
  reconciling: "compared with a peer's",
  confirmed: "at all members",
};

function rowOf({ id, isSelf, address, status, block, entries }: MemberSnapshot): string {
  const state = entries.filter(({ key }) => !isInternal(key)).map(({ key, value }) =>
    `<code>${escaped(key)} = ${escaped(JSON.stringify(value))}</code>`
  );
  return `<tr class="${status}"><td><code>${escaped(id)}</code>${isSelf ? " (this one)" : ""}` +
    `<td>${address ? escaped(`${address.host}:${address.port}`) : "–"}` +
    `<td><i></i> ${escaped(block?.reason ?? status)}<td>${state.join("<br>") || "–"}</tr>`;
}

/** Keys that gossipers set themselves; the page leaves them out. */
const INTERNAL: ReadonlySet<string> = new Set([GRACEFULLY_LEFT_KEY, HEARTBEAT_KEY, TOPOLOGY_KEY]);

function isInternal(key: string): boolean {
  return INTERNAL.has(key) || key.startsWith("hearsay.");
}

/** Members choose their names and values, so none of them may become markup, or turn the text beside it around. */
function escaped(text: string): string {
  return printable(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
h1 { margin: 0; font-size: 1.6rem }
p { margin: .2rem 0 1.5rem; opacity: .7 }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: normal; opacity: .6 }
th, td { padding: .5rem 1rem .5rem 0; border-bottom: 1px solid #8884; vertical-align: top }
code { font: .875em ui-monospace, monospace; overflow-wrap: anywhere }
i { display: inline-block; width: .6em; height: .6em; border-radius: 50%; background: #999 }
.alive i, .suspected i { background: #2a9d5c }
.failed i { background: #d1495b }
.left, .failed { opacity: .6 }
`;
