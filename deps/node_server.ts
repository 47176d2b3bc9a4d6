/**
 * The HTTP servers of Node, and facts about the machine that they need.
 *
 * @module
 */

export { createServer as createHttpServer, STATUS_CODES } from "node:http";
export type { IncomingMessage, Server, ServerResponse } from "node:http";
export { createServer as createHttpsServer } from "node:https";
export type { AddressInfo } from "node:net";
export { networkInterfaces } from "node:os";
export type { Duplex } from "node:stream";
export { rootCertificates } from "node:tls";
