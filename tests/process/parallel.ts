/**
 * A service as `deno serve` runs it, whose member mounts its handler there.
 *
 * @module
 */

import { join } from "../../mod.ts";

// The log, where a test reads it line by line.
console.warn = (line: string) => console.log(line);
const port = Number(Deno.env.get("PORT"));
const node = await join({ cluster: "parallel", advertise: { host: "127.0.0.1", port } });

export default {
  async fetch(request: Request, info: Deno.ServeHandlerInfo): Promise<Response> {
    return await node.handler(request, info) ?? new Response("hello\n");
  },
};
