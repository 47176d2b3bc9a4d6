/**
 * An attacker in a process of its own. It runs the attack of its first argument until its standard input ends. It prints
 * `ready` when it has begun, and the number of tries at the end.
 *
 * @module
 */

import { incarnationAbove } from "../../../engine/incarnation.ts";
import { HEARTBEAT_KEY, MAX_NUMBER, type MemberDelta, TYPE } from "../../../engine/types.ts";
import { authorityOf } from "../../../common/canonical_address.ts";
import { newClusterKey } from "../../../security/cluster_keys.ts";
import { deltaOf } from "../../requirements/scripted_peer.ts";
import { entry } from "../../engine/harness.ts";
import { forge, Insider, newIdentity, type TokenOptions, Wire } from "../attacker.ts";
import { HOARDING } from "./hoarding.ts";

/** The first argument, as JSON. */
export interface AttackerOptions {
  readonly attack: string;
  /** The addresses of the honest members. */
  readonly targets: readonly string[];
  /** The cluster's key. Attacks without the key use it only for tokens that an attacker might have found. */
  readonly key: string;
}

const { attack, targets, key }: AttackerOptions = JSON.parse(Deno.args[0]!);
let over = false;
let tries = 0;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Repeats an action in this many parallel loops; failures are ignored. */
async function again(times: number, action: (index: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: times }, async (_, index) => {
    for (let turn = index; !over; turn += times) {
      tries++;
      await action(turn).catch(() => {});
      // An action that ends at once would block the event loop.
      await pause(0);
    }
  }));
}

const target = (index: number) => targets[index % targets.length]!;

/** Offers tokens of one kind to all members in turn. */
function offering(tokenFor: (address: string) => Promise<string | undefined>): () => Promise<void> {
  return () =>
    again(
      8,
      async (index) => void await Wire.status(target(index), { token: await tokenFor(target(index)) }),
    );
}

function forged(options: Partial<TokenOptions>): () => Promise<void> {
  return offering((address) => forge({ key, authority: authorityOf(address)!, ...options }));
}

/** Keeps an insider at each member that sends a message every few milliseconds, and reconnects with the same identity. */
function saying(
  say: (insider: Insider, turn: number) => Promise<void> | void,
  { everyMs = 20 } = {},
): () => Promise<void> {
  return async () => {
    const identities = await Promise.all(targets.map(() => newIdentity()));
    let turn = 0;
    await again(targets.length, async (index) => {
      await using insider = await Insider.withHandshake(target(index), {
        key,
        as: identities[index % targets.length]!,
      });
      while (!over && insider.wire.socket.readyState === WebSocket.OPEN) {
        await say(insider, ++turn);
        await pause(everyMs);
      }
    });
  };
}

/** The insider's own state after this many rounds. */
async function ownState(insider: Insider, turn: number, value: unknown = turn): Promise<MemberDelta> {
  const beat = { key: HEARTBEAT_KEY, number: 2 * turn + 3, type: TYPE.heartbeat, value: {}, json: "{}" };
  const { id, incarnation } = insider;
  return await insider.forge({
    id,
    incarnation,
    number: beat.number,
    entries: [entry("k", 2 * turn + 2, value as never), beat],
  });
}

/** The other members in the last received gossip. */
function others(insider: Insider): readonly MemberDelta[] {
  const gossip = insider.wire.received.findLast(({ type }) => type === "gossip");
  return gossip?.type === "gossip" ? gossip.delta.members.filter(({ id }) => id !== insider.id) : [];
}

/** A TCP connection to a member. */
async function tcp(index: number): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(target(index));
  return await Deno.connect({ hostname, port: Number(port) });
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** The head of an upgrade. */
function upgradeWith(token: string): Uint8Array {
  return bytes(
    `GET /gossip HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
      `sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n` +
      `sec-websocket-protocol: hearsay.v2\r\nauthorization: Bearer ${token}\r\n\r\n`,
  );
}

/** A token that a target would accept, with an unused id. */
async function validToken(index: number): Promise<string> {
  return await forge({ key, id: `someone-${crypto.randomUUID()}`, authority: authorityOf(target(index))! });
}

async function writeAll(connection: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let from = 0; from < data.length;) from += await connection.write(data.subarray(from));
}

/** Reads all messages and ignores them. */
async function drain(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  while (await connection.read(buffer).catch(() => null) !== null);
}

/** Keeps a connection open and writes to it until the member closes it. */
async function untilClosed(connection: Deno.Conn, trickle: Uint8Array): Promise<void> {
  try {
    while (!over) {
      await connection.write(trickle);
      await pause(100);
    }
  } finally {
    try {
      connection.close();
    } catch {
      // The member closed it first.
    }
  }
}

const ATTACKS: Readonly<Record<string, () => Promise<void>>> = {
  "no token": offering(() => Promise.resolve(undefined)),
  "a token of another key": async () => await forged({ key: await newClusterKey() })(),
  "an expired token": forged({ madeMs: -60_000 }),
  "a token that was used": async () => {
    const tokens = new Map<string, string>();
    for (const address of targets) {
      const token = await forge({ key, authority: authorityOf(address)! });
      await Wire.status(address, { token });
      tokens.set(address, token);
    }
    await offering((address) => Promise.resolve(tokens.get(address)))();
  },
  "a token for another cluster": forged({ cluster: "payments" }),
  "a token for another member": forged({ authority: "10.0.0.7:7001" }),

  "a member that lies about others": saying(async (insider, turn) => {
    const lies = others(insider).map((state) => ({
      ...state,
      after: 0,
      reset: true,
      entries: [entry("k", MAX_NUMBER - 10_000 + turn, "a lie")],
      proof: state.signature ?? "x".repeat(86),
    }));
    const later = await Promise.all(lies.map(({ id, incarnation }) => {
      return insider.forge({
        id,
        incarnation: incarnationAbove(incarnation, Date.now(), 0.5),
        number: 2,
        entries: [entry("k", 2, "a lie")],
      });
    }));
    insider.gossip(...(turn % 2 === 0 ? lies : later));
  }),
  "a member that lies about itself": saying(async (insider, turn) => {
    // Another number for the same value, another value for the same number, and a new incarnation every tenth time.
    const state = await ownState(
      insider,
      turn % 3 === 0 ? 1_000_000 : turn,
      turn % 2 === 0 ? "one" : "another",
    );
    insider.gossip(state);
    if (turn % 10 === 9) {
      await insider.handshake({ incarnation: incarnationAbove(insider.incarnation, Date.now() + turn, 0.5) });
    }
  }),
  "a member that lies about acknowledgements": saying(async (insider, turn) => {
    const id = insider.gossip(...(turn % 10 === 0 ? [await ownState(insider, turn)] : []));
    const holds = new Map(
      others(insider).map((
        { id, incarnation },
      ) => [id, { incarnation, number: turn % 2 === 0 ? MAX_NUMBER : 0 }]),
    );
    insider.reply(holds);
    await pause(5);
    insider.wire.say({ type: "ack", id, holds });
  }),
  "a member that never answers": saying(async (insider, turn) => {
    if (turn % 10 === 0) insider.gossip(await ownState(insider, turn));
  }),

  "a slow upgrade": () =>
    again(100, async (index) => {
      const connection = await tcp(index);
      await connection.write(bytes("GET /gossip HTTP/1.1\r\nhost: x\r\n"));
      await untilClosed(connection, bytes("x-slow: 1\r\n"));
    }),
  "a slow hello": () =>
    again(60, async (index) => {
      const address = target(index);
      await using wire = await Wire.opened(address, {
        token: await forge({ key, authority: authorityOf(address)! }),
      });
      await wire.closed;
    }),
  "slow frames": () =>
    again(30, async (index) => {
      const address = target(index);
      const token = await forge({ key, id: `slow-${index}`, authority: authorityOf(address)! });
      const connection = await tcp(index);
      await connection.write(upgradeWith(token));
      // The header of a text frame of 1 MiB, of which one byte follows at a time.
      await connection.write(new Uint8Array([0x81, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]));
      await untilClosed(connection, bytes(" "));
    }),

  "messages that are too large": async () => {
    const identities = await Promise.all(targets.map(() => newIdentity()));
    const large = `{"type":"gossip","id":"d2","x":"${"x".repeat(2 * 2 ** 20)}"}`;
    await again(targets.length, async (index) => {
      await using insider = await Insider.withHandshake(target(index), {
        key,
        as: identities[index % targets.length]!,
      });
      insider.wire.socket.send(large);
      await insider.wire.closed;
    });
  },
  "a flood of connections": () =>
    again(40, async (index) => {
      await using wire = new Wire(target(index));
      await wire.closed;
    }),
  "a flood of messages": async () => {
    const identities = await Promise.all(targets.map(() => newIdentity()));
    await again(targets.length, async (index) => {
      await using insider = await Insider.withHandshake(target(index), {
        key,
        as: identities[index % targets.length]!,
      });
      while (!over && insider.wire.socket.readyState === WebSocket.OPEN) {
        for (let count = 0; count < 100; count++) insider.gossip();
        await pause(1);
      }
    });
  },
  "a flood of pings": async () => {
    const identities = await Promise.all(targets.map(() => newIdentity()));
    await again(targets.length, async (index) => {
      await using insider = await Insider.withHandshake(target(index), {
        key,
        as: identities[index % targets.length]!,
      });
      while (!over && insider.wire.socket.readyState === WebSocket.OPEN) {
        for (let count = 0; count < 100; count++) insider.wire.socket.send('{"type":"ping"}');
        await pause(1);
      }
    });
  },
  "large states of many ids": saying(HOARDING["large states of many ids"]!, { everyMs: 500 }),
  "invented members": saying(HOARDING["invented members"]!, { everyMs: 500 }),
  "idle sockets": () =>
    again(300, async (index) => {
      using connection = await tcp(index);
      while (!over && await Promise.race([connection.read(new Uint8Array(1)), pause(100)]) === undefined);
    }),
  "many valid tokens": () =>
    again(8, async (index) => void await Wire.status(target(index), { token: await validToken(index) })),
  "aborted upgrades": () =>
    again(8, async (index) => {
      using connection = await tcp(index);
      await connection.write(upgradeWith(await validToken(index)));
    }),
  "pipelined wrong tokens": async () => {
    const many = bytes(new TextDecoder().decode(upgradeWith("x".repeat(200))).repeat(100));
    await again(12, async (index) => {
      using connection = await tcp(index);
      const draining = drain(connection);
      while (!over) await writeAll(connection, many);
      await draining;
    });
  },
  "a message that never ends": () =>
    again(targets.length, async (index) => {
      using connection = await tcp(index);
      await connection.write(upgradeWith(await validToken(index)));
      const draining = drain(connection);
      // Frames of a text without the bit that says that one is the last.
      const frame = new Uint8Array(14 + 2 ** 20).fill(0x20);
      frame.set([0x01, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
      for (; !over; frame[0] = 0) {
        await writeAll(connection, frame);
        await pause(50);
      }
      await draining;
    }),
  /** The control: a process that attacks no member and only uses the processor. */
  "nothing but work": () =>
    again(1, async () => {
      const endMs = performance.now() + 10;
      while (performance.now() < endMs);
      await Promise.resolve(deltaOf([]));
    }),
};

const attacking = ATTACKS[attack]!();
console.log("ready");
for await (const _ of Deno.stdin.readable);
over = true;
await Promise.race([attacking, pause(500)]);
console.log(`tries ${tries}`);
Deno.exit(0);
