/**
 * Peers with hand-written frames over TCP.
 *
 * @module
 */

import { SUBPROTOCOL } from "../../../transport/web_socket/web_socket.ts";
import { dialUrl } from "../../../transport/web_socket/dial.ts";

/** A TCP connection with hand-written WebSocket frames. */
export class RawPeer implements Disposable {
  readonly tcp: Deno.TcpConn;
  #unread = new Uint8Array();

  constructor(tcp: Deno.TcpConn) {
    this.tcp = tcp;
  }

  /** Sends the head of an upgrade to a server, and resolves with the answer's. */
  static async dial(address: string, headers: object = UPGRADE): Promise<{ peer: RawPeer; head: string }> {
    const { hostname, port, pathname } = dialUrl(address, "/gossip");
    const peer = new RawPeer(await Deno.connect({ hostname, port: Number(port) }));
    await peer.send(head(`GET ${pathname} HTTP/1.1`, { host: hostname, ...headers }));
    return { peer, head: await peer.readHead() };
  }

  /** Accepts a client's upgrade. */
  static async accept(listener: Deno.TcpListener, headers: object = {}): Promise<RawPeer> {
    const peer = new RawPeer(await listener.accept());
    const key = /^sec-websocket-key: (.*)\r$/im.exec(await peer.readHead())![1];
    const salted = new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
    const accept = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-1", salted))));
    const fields = {
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-accept": accept,
      ...headers,
    };
    await peer.send(head("HTTP/1.1 101 Switching Protocols", fields));
    return peer;
  }

  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const writer = this.tcp.writable.getWriter();
    await writer.write(bytes as Uint8Array<ArrayBuffer>);
    writer.releaseLock();
  }

  /** Sends a frame as a client does, masked with zeros. */
  async sendFrame(opcode: number, payload: string | Uint8Array): Promise<void> {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    const frame = new Uint8Array(8 + bytes.length);
    frame.set([0x80 | opcode, 0x80 | 126, bytes.length >> 8, bytes.length & 255]);
    frame.set(bytes, 8);
    await this.send(frame);
  }

  async readHead(): Promise<string> {
    let text = "";
    while (!text.includes("\r\n\r\n")) text += new TextDecoder().decode(await this.#take(1));
    return text;
  }

  /** The next frame, unmasked. */
  async readFrame(): Promise<{ opcode: number; text: string; code: number }> {
    const [first, second] = await this.#take(2) as unknown as [number, number];
    let length = second & 127;
    if (length === 126) length = new DataView((await this.#take(2)).buffer).getUint16(0);
    const mask = second & 128 ? await this.#take(4) : new Uint8Array(4);
    const payload = (await this.#take(length)).map((byte, index) => byte ^ mask[index % 4]!);
    const opcode = first & 15;
    const code = opcode === 8 && length >= 2 ? new DataView(payload.buffer).getUint16(0) : 0;
    return { opcode, text: new TextDecoder().decode(opcode === 8 ? payload.slice(2) : payload), code };
  }

  async #take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#unread.length < length) {
      const more = new Uint8Array(65_536);
      const count = await this.tcp.read(more);
      if (count === null) throw new Error("The connection ended.");
      const joined = new Uint8Array(this.#unread.length + count);
      joined.set(this.#unread);
      joined.set(more.subarray(0, count), this.#unread.length);
      this.#unread = joined;
    }
    const taken = this.#unread.slice(0, length);
    this.#unread = this.#unread.slice(length);
    return taken;
  }

  [Symbol.dispose](): void {
    this.tcp.close();
  }
}

export const UPGRADE = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-protocol": SUBPROTOCOL,
};

function head(first: string, headers: object): string {
  const lines = Object.entries(headers).filter(([, value]) => value !== undefined);
  return `${first}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

export function listenTcp() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `ws://127.0.0.1:${listener.addr.port}`;
  return { listener, address, [Symbol.dispose]: () => listener.close() };
}
