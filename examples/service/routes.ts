/**
 * The routes of the service.
 *
 * There is no login here; cluster keys protect the gossip alone. A service on an untrusted network needs its own.
 *
 * @module
 */

import { HearsayError, type Node } from "../../mod.ts";
import { ClientError, readObject } from "./body.ts";
import type { OperationsHandler } from "../../operations/mod.ts";
import type { OrderBook } from "./order_book.ts";
import { areCents, type PriceList } from "./price_list.ts";

/** An instance that has joined. */
export interface Instance {
  readonly node: Node;
  readonly prices: PriceList;
  readonly orders: OrderBook;
  /** Answers `/live`, `/ready`, `/members` and `/metrics`. */
  readonly operate: OperationsHandler;
  /** True once it must get no new clients. */
  isLeaving: boolean;
}

type Route = (instance: Instance, request: Request) => Response | Promise<Response>;

/** By method and path. */
const ROUTES: Readonly<Record<string, Route>> = {
  "GET /orders": ({ orders }) => Response.json({ taken: orders.total }),
  "POST /orders": takeOrder,
  "GET /prices": ({ prices }) => Response.json({ ...prices.newest, isAgreed: prices.isAgreed }),
  "PUT /prices": setPrices,
};

/** Answers a request; `instance` is `undefined` while it joins. */
export async function respond(request: Request, instance: Instance | undefined): Promise<Response> {
  if (instance === undefined) return respondEarly(request);
  const response = await instance.operate(request) ?? await answer(request, instance);
  // With keep-alive the client would send its next request here as well.
  if (instance.isLeaving) response.headers.set("connection", "close");
  return response;
}

/** Probes have to be answered while the instance joins. */
function respondEarly(request: Request): Response {
  if (URL.parse(request.url)?.pathname === "/live") return Response.json({ live: true });
  const waitsFor = [{ condition: "service", reason: "This instance joins the cluster." }];
  return Response.json({ ready: false, waitsFor }, { status: 503 });
}

async function answer(request: Request, instance: Instance): Promise<Response> {
  const name = `${request.method} ${URL.parse(request.url)?.pathname}`;
  if (!Object.hasOwn(ROUTES, name)) return new Response("Not found.\n", { status: 404 });
  try {
    return await ROUTES[name]!(instance, request);
  } catch (error) {
    if (error instanceof ClientError) return new Response(`${error.message}\n`, { status: error.status });
    // The member has left, so a new value would reach no other member.
    if (error instanceof HearsayError && error.code === "stopped") {
      return new Response("This instance is leaving.\n", { status: 503 });
    }
    throw error;
  }
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
