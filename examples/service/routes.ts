/**
 * The routes of the service.
 *
 * There is no login here; cluster keys protect the gossip alone. A service on an untrusted network needs its own.
 *
 * @module
 */

import { HearsayError, type Node } from "../../mod.ts";
import { ClientError, readObject } from "./body.ts";
import type { OrderBook } from "./order_book.ts";
import { areCents, type PriceList } from "./price_list.ts";
import type { Readiness } from "./readiness.ts";

/** An instance that has joined. */
export interface Instance {
  readonly node: Node;
  readonly prices: PriceList;
  readonly orders: OrderBook;
  readonly readiness: Readiness;
}

type Route = (instance: Instance, request: Request) => Response | Promise<Response>;

/** By method and path. */
const ROUTES: Readonly<Record<string, Route>> = {
  "GET /live": () => new Response("alive\n"),
  "GET /ready": ({ readiness: { state } }) =>
    state === "ready" ? new Response("ready\n") : unavailable(state),
  "GET /members": members,
  "GET /orders": ({ orders }) => Response.json({ taken: orders.total }),
  "POST /orders": takeOrder,
  "GET /prices": ({ prices }) => Response.json(prices.newest),
  "PUT /prices": setPrices,
};

/** Answers a request; `instance` is `undefined` while it joins. */
export async function respond(request: Request, instance: Instance | undefined): Promise<Response> {
  const response = await answer(request, instance);
  // With keep-alive the client would send its next request here as well.
  if (instance?.readiness.state === "leaving") response.headers.set("connection", "close");
  return response;
}

async function answer(request: Request, instance: Instance | undefined): Promise<Response> {
  const name = `${request.method} ${URL.parse(request.url)?.pathname}`;
  if (!Object.hasOwn(ROUTES, name)) return new Response("Not found.\n", { status: 404 });
  if (!instance) {
    return name === "GET /live" ? new Response("alive\n") : unavailable("starting");
  }
  try {
    return await ROUTES[name]!(instance, request);
  } catch (error) {
    if (error instanceof ClientError) return new Response(`${error.message}\n`, { status: error.status });
    // The member has left, so a new value would reach no other member.
    if (error instanceof HearsayError && error.code === "stopped") return unavailable("leaving");
    throw error;
  }
}

function unavailable(why: string): Response {
  return new Response(`${why}\n`, { status: 503 });
}

function members({ node, prices }: Instance): Response {
  const members = node.members.map(({ id, status, isSelf, member }) => ({
    id,
    status,
    isSelf,
    ...(member && { address: `${member.host}:${member.port}` }),
  }));
  return Response.json({ members, isAgreed: prices.isAgreed });
}

async function takeOrder({ prices, orders }: Instance, request: Request): Promise<Response> {
  const { item, quantity } = await readObject(request);
  if (typeof item !== "string" || !Number.isSafeInteger(quantity) || (quantity as number) < 1) {
    throw new ClientError(400, 'An order must be such as {"item":"tea","quantity":2}.');
  }
  const { cents, revision } = prices.newest;
  if (!Object.hasOwn(cents, item)) {
    throw new ClientError(422, `There is no price for ${JSON.stringify(item)}.`);
  }
  orders.take();
  return Response.json({ item, quantity, cents: cents[item]! * (quantity as number), revision }, {
    status: 201,
  });
}

async function setPrices({ prices }: Instance, request: Request): Promise<Response> {
  const cents = await readObject(request);
  if (!areCents(cents)) {
    throw new ClientError(400, 'Prices must be whole cents by item, such as {"tea":250}.');
  }
  const set = await prices.set(cents);
  // 202: only this instance has the list. It would be lost if the instance ended now.
  return Response.json(set.prices, { status: set.isKept ? 200 : 202 });
}
