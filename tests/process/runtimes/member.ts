/**
 * A program with a member, for Node, Bun and Deno. It prints events as lines of JSON, and runs commands from its standard
 * input.
 *
 * @module
 */

import process from "node:process";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { leaveOnSignals } from "@hearsay/gossip";
import { join, type JoinOptions, mount } from "@hearsay/gossip/ws";

/** Options of {@linkcode join}, as JSON in the first argument. With `isMounted` the member has a server of the program. */
const { isMounted = false, ...options }: JoinOptions & { readonly isMounted?: boolean } = JSON.parse(
  process.argv[2]!,
);
const print = (line: object) => console.log(JSON.stringify(line));

const server = isMounted
  ? createServer((_request, response) => void response.end("the service's own"))
  : undefined;
await new Promise<void>((resolve) => server ? void server.listen(0, "127.0.0.1", resolve) : resolve());
const { port } = (server?.address() ?? { port: 0 }) as { port: number };
const place = server ? { advertise: { host: "127.0.0.1", port } } : options.listen ? {} : {
  listen: { port: 0 },
};

try {
  const node = await join({ ...options, ...place });
  if (server) mount(server, node);
  leaveOnSignals(node, { afterLeaving: ({ flush }) => print({ type: "left", flush }) });
  print({ type: "listening", address: node.address });
  const commands: Readonly<Record<string, (value: string) => void>> = {
    set: (value) => node.setState("k", value),
    members: () =>
      print({ type: "members", members: node.members.map(({ id, status }) => `${id} ${status}`) }),
  };
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const [name = "", ...value] = line.split(" ");
    commands[name]?.(value.join(" "));
  });
  const quiet = new Set(["Disseminated", "RequestFailed", "PhaseChanged", "Confirmed", "EventsDropped"]);
  for await (const event of node.events.subscribe()) {
    if (event.type === "GossipUpdate" && (event.memberId === node.id || event.key !== "k")) continue;
    if (!quiet.has(event.type)) print(event);
  }
} catch (error) {
  print({ type: "failed", text: String(error), code: (error as { code?: string }).code });
  process.exitCode = 1;
}
