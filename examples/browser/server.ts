/**
 * A service whose pages are members: `deno task browser`.
 *
 * It serves a page, the module of pages, and tokens: for a member, or for reading. The key of the cluster stays here.
 *
 * @module
 */

import { BoundedMap } from "../../common/bounded_map.ts";
import { type Access, newClusterKey, tokenFor } from "../../security/cluster_keys.ts";
import { join, leaveOnSignals } from "../../mod.ts";
import { readFlags } from "../flags.ts";

const USAGE = `
A service whose pages are members of its cluster.

  --port <number>     the port of the page at 127.0.0.1 (default: 8000); 0 for a free one
  --help              this text
`;
const flags = readFlags({ usage: USAGE, once: ["port"], many: [] });
const cluster = "pages";
const config = { heartbeatExpiration: 10_000 };
const keys = [await newClusterKey()];

/** The files of the page, by path. */
const FILES: ReadonlyMap<string, readonly [file: URL, type: string]> = new Map([
  ["/", [new URL("index.html", import.meta.url), "text/html; charset=utf-8"]],
  ["/page.js", [new URL("page.js", import.meta.url), "text/javascript"]],
  ["/hearsay.js", [new URL("../../dist/hearsay.js", import.meta.url), "text/javascript"]],
]);

/** The pages that were served, by a secret of each. The oldest is dropped for a new one. */
const pages = new BoundedMap<string, { readonly id: string; readonly access: Access }>(10_000);

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: flags.port() ?? 8_000,
  onListen: () => {},
}, async (request) => {
  const { pathname } = new URL(request.url);
  if (request.method === "POST") return await answer(pathname, await bodyOf(request));
  const [file, type] = FILES.get(pathname) ?? [];
  if (!file) return nothing();
  return new Response(await Deno.readFile(file), { headers: { "content-type": type! } });
});
const origin = `http://127.0.0.1:${server.addr.port}`;

const options = {
  cluster,
  listen: { port: 0 },
  config,
  authentication: { keys },
  // Pages of other origins cannot connect, whatever token they have.
  allowedOrigins: [origin],
};
const one = await join({ ...options, id: "service-1" });
const two = await join({ ...options, id: "service-2", seeds: [one.address] });
const seeds = [one.address, two.address];
one.setState("color", "#d1495b");
two.setState("color", "#edae49");
leaveOnSignals(one, { beforeLeaving: async () => void await two.stop() });
console.log(`${origin}/ is a page that joins.`);

async function answer(path: string, body: Readonly<Record<string, unknown>>): Promise<Response> {
  if (path === "/session") {
    // A real service knows its visitor here, and decides what the page may do.
    const access = body["access"] === "full" ? "full" : "read";
    const session = crypto.randomUUID();
    pages.set(session, { id: `page-${crypto.randomUUID()}`, access });
    return Response.json({ session, cluster, seeds, config });
  }
  const page = pages.get(String(body["session"]));
  // The page says which member it dials: it gets no token for any other address.
  const address = seeds.find((each) => `${each}/gossip` === body["address"] || each === body["address"]);
  if (path !== "/token" || !page || address === undefined) return nothing();
  return Response.json(await tokenFor({ keys, cluster, address, ...page }));
}

/** The JSON object in a request; an empty object if the body is too large or is not JSON. */
async function bodyOf(request: Request): Promise<Readonly<Record<string, unknown>>> {
  if (Number(request.headers.get("content-length") ?? Infinity) > 4_096) return {};
  return Object(await request.json().catch(() => ({})));
}

function nothing(): Response {
  return new Response("There is nothing here.\n", { status: 404 });
}
