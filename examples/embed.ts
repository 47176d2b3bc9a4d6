/**
 * A member inside a service's own `Deno.serve`: `deno task embed`.
 *
 * The service greets whoever asks at `/`, tells the other members how often it did, and shows at `/members`
 * what it knows of all of them: as JSON, or as a page for a browser. A second copy is
 * `deno task embed --port 8001 --seed ws://127.0.0.1:8000`.
 *
 * @module
 */

import { type Gossiper, HearsayError, join, type Node, serve, type Server } from "../mod.ts";
import { pageOf } from "./embed/page.ts";
import { giveUp, readFlags } from "./flags.ts";
import { leaveOnSignal } from "./leave.ts";

const USAGE = `
A service that is a member of a cluster, and shows the others at /members.

  --port <number>     where it listens on 127.0.0.1; 8000 by default, 0 takes a free one
  --seed <address>    a member to greet, such as ws://127.0.0.1:8000; may be given more than once
  --help              this text
`;
const flags = readFlags({ usage: USAGE, once: ["port"], many: ["seed"] });
const port = flags.port() ?? 8000;
const seeds = flags.seeds();

const joined = Promise.withResolvers<Node>();
let greetings = 0;

// The server is there first: its port, which others are to dial, may be any free one.
const server = listen();
const node = await join({
  cluster: "embed",
  advertise: { host: "127.0.0.1", port: server.addr.port },
  seeds,
  config: { heartbeatExpiration: 5_000 },
});
joined.resolve(node);
node.gossiper.setState("greetings", greetings);
leaveOnSignal(node);
console.log(`http://127.0.0.1:${server.addr.port}/members shows the members.`);
console.log(`Another: deno task embed --port 0 --seed ${node.address}`);

function listen(): Server {
  try {
    // Not `Deno.serve`, which ends the process when clients have opened more connections than it may have.
    return serve({ port }, async (request, info) => {
      const { gossiper, handler } = await joined.promise;
      // What is not for the member is for the service.
      return await handler(request, info) ?? answer(request, gossiper);
    });
  } catch (error) {
    if (error instanceof HearsayError && error.code === "cannot_listen") {
      giveUp(`Port ${port} is in use; --port <number> takes another.`);
    }
    throw error;
  }
}

function answer(request: Request, gossiper: Gossiper): Response {
  const pathname = URL.parse(request.url)?.pathname;
  if (pathname === "/") {
    gossiper.setState("greetings", ++greetings);
    return new Response("Hello. Who else is there stands at /members.\n");
  }
  if (pathname !== "/members") return new Response("There is nothing here.\n", { status: 404 });
  const snapshot = gossiper.snapshot();
  const headers = { vary: "accept" };
  if (!request.headers.get("accept")?.includes("text/html")) return Response.json(snapshot, { headers });
  return new Response(pageOf(snapshot), {
    headers: { ...headers, "content-type": "text/html; charset=utf-8" },
  });
}
