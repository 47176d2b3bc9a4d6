// @ts-ignore -- the service has it at this path: `deno task bundle` builds it
import { join, leaveOnPageHide } from "./hearsay.js";

const access = new URLSearchParams(location.search).get("access") === "read" ? "read" : "full";
const element = (id) => document.getElementById(id);

/** Asks this page's own service. */
async function ask(path, body, { signal } = {}) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(body), signal });
  if (!response.ok) throw new Error(`The service refused ${path} (${response.status}).`);
  return await response.json();
}

function cell(...contents) {
  const td = document.createElement("td");
  td.append(...contents);
  return td;
}

function mark(className, background) {
  const span = document.createElement("span");
  span.className = className;
  if (background) span.style.background = background;
  return span;
}

/** Other members choose their ids and values: they become text, and never markup. */
function rowOf({ id, status, isSelf }, color) {
  const row = document.createElement("tr");
  row.className = status;
  const name = document.createElement("code");
  name.textContent = id.length > 16 ? `${id.slice(0, 13)}…` : id;
  name.title = id;
  const isColor = typeof color === "string" && /^#[0-9a-f]{6}$/i.test(color);
  row.append(
    cell(name, isSelf ? " (this page)" : ""),
    cell(mark("dot"), status),
    isColor ? cell(mark("swatch", color), color) : cell("–"),
  );
  return row;
}

function show(node) {
  const colors = node.getState("color");
  const shown = node.members.filter(({ isSelf }) => !isSelf || node.access === "full");
  element("members").replaceChildren(...shown.map((each) => rowOf(each, colors.get(each.id)?.value)));
  const alive = shown.filter(({ status }) => status === "alive").length;
  element("about").textContent = `${alive} ${alive === 1 ? "member is" : "members are"} alive.`;
}

/** Shows the members again after each change, until the member leaves. */
async function follow(node, stream) {
  for await (const _ of stream) show(node);
}

async function takePart() {
  const { session, ...cluster } = await ask("session", { access });
  const token = ({ address, signal }) => ask("token", { session, address }, { signal });
  const node = await join({ ...cluster, token });
  globalThis.node = node; // for the console
  leaveOnPageHide(node, { onReturn: () => void takePart() });
  element("form").hidden = node.access === "read";
  element("reading").hidden = node.access !== "read";
  element("hint").hidden = node.access === "read";
  element("title").textContent = node.access === "full" ? "This page is a member" : "This page reads";
  if (node.access === "full") node.setState("color", element("color").value);
  element("color").oninput = ({ target }) => node.setState("color", target.value);
  element("leave").onclick = async () => {
    element("form").hidden = true;
    await node.stop();
    // The streams have ended before the member's own status changed.
    show(node);
    element("about").textContent = "This page has left. Load it again to return.";
  };
  void follow(node, node.watchMembers());
  void follow(node, node.watch("color"));
}

takePart().catch((error) => {
  element("about").textContent = `This page could not join: ${error.message}`;
});
