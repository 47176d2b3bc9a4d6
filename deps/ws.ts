/**
 * WebSockets for Node and Bun, of both sides.
 *
 * @module
 */

// @ts-types="./ws.d.ts"
export { WebSocket, WebSocketServer } from "npm:ws@8.23.0";
