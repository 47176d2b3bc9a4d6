/**
 * A member inside a service's own `Deno.serve`: `deno task embed`.
 *
 * The service answers `/` with a greeting and publishes how often it did. `/members` shows the state of all members, as
 * JSON or as a page for a browser. Start a second copy with `deno task embed --port 8001 --seed ws://127.0.0.1:8000`.
 *
 * @module
 */

import { HearsayError, join, type Node, serve, type Server } from "../mod.ts";
import { pageOf } from "./embed/page.ts";
import { giveUp, readFlags } from "./flags.ts";
import { leaveOnSignal } from "./leave.ts";

const USAGE = `
A service that is a member of a cluster and shows all members at /members.

  --port <number>     the port to listen on at 127.0.0.1 (default: 8000); 0 for a free one
  --seed <address>    a member to dial, such as ws://127.0.0.1:8000; may be repeated
  --help              this text
`;
const flags = readFlags({ usage: USAGE, once: ["port"], many: ["seed"] });
const port = flags.port() ?? 8000;
const seeds = flags.seeds();

const joined = Promise.withResolvers<Node>();
let greetings = 0;

// The server starts first, because members publish its port, which may be a free one.
const server = listen();
const node = await join({
  cluster: "embed",
  advertise: { host: "127.0.0.1", port: server.addr.port },
  seeds,
  config: { heartbeatExpiration: 5_000 },
});
joined.resolve(node);
node.setState("greetings", greetings);
leaveOnSignal(node);
console.log(`http://127.0.0.1:${server.addr.port}/members shows the members.`);
console.log(`Start another with: deno task embed --port 0 --seed ${node.address}`);

function listen(): Server {
  try {
    // Not `Deno.serve`: it would end the process when clients open more connections than it may have.
    return serve({ port }, async (request, info) => {
      const node = await joined.promise;
      // `undefined`: the request is not for the member.
      return await node.handler(request, info) ?? answer(request, node);
    });
  } catch (error) {
    if (error instanceof HearsayError && error.code === "cannot_listen") {
      giveUp(`Port ${port} is in use. Choose another with --port <number>.`);
    }
    throw error;
  }
}

function answer(request: Request, node: Node): Response {
  const pathname = URL.parse(request.url)?.pathname;
  if (pathname === "/") {
    node.setState("greetings", ++greetings);
    return new Response("Hello. See all members at /members.\n");
  }
  if (pathname !== "/members") return new Response("Not found.\n", { status: 404 });
  const snapshot = node.snapshot();
  const headers = { vary: "accept" };
  if (!request.headers.get("accept")?.includes("text/html")) return Response.json(snapshot, { headers });
  return new Response(pageOf(snapshot), {
    headers: { ...headers, "content-type": "text/html; charset=utf-8" },
  });
}
