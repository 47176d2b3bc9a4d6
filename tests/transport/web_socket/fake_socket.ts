import type { Guard } from "../../../contracts/authentication.ts";
import { SocketConnection } from "../../../transport/web_socket/connection.ts";
import { HandRuntime } from "./hand_runtime.ts";

export const LIMITS = {
  maxMessageBytes: 65_536,
  highWaterMark: 1_000,
  closeTimeout: 700,
  maxMessagesPerSecond: 1_000,
};

/** A socket under the test's control: the end of each send, and the close. */
class FakeSocket extends EventTarget {
  readyState: number = WebSocket.OPEN;
  bufferedAmount = 0;
  /** True if all is sent at once, so that nothing waits. */
  quick = false;
  binaryType = "blob";
  readonly sent: string[] = [];
  readonly closes: { code: number; reason: string }[] = [];

  send(text: string): void {
    this.sent.push(text);
    if (!this.quick) this.bufferedAmount += text.length;
  }

  close(code: number, reason: string): void {
    this.closes.push({ code, reason });
    this.readyState = WebSocket.CLOSING;
  }

  receive(data: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  over(code: number, reason: string = ""): void {
    this.readyState = WebSocket.CLOSED;
    this.dispatchEvent(new CloseEvent("close", { code, reason }));
  }
}

/** A connection over a {@linkcode FakeSocket}, with timers fired by the test. */
export function fake(options: { dialed?: boolean; guard?: Guard } = {}) {
  const socket = new FakeSocket();
  const runtime = new HandRuntime();
  const connection = new SocketConnection(socket as unknown as WebSocket, {
    runtime,
    limits: LIMITS,
    dialed: options.dialed ?? true,
    remote: "the peer",
    guard: options.guard,
  });
  return { socket, runtime, connection };
}

/** True if a promise has settled after all ready work has run. */
export async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(() => done = true, () => done = true);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  return done;
}
