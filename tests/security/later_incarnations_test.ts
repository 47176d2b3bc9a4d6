import { assert, assertEquals } from "../../deps/std_assert.ts";
import { incarnationAbove, makeIncarnation } from "../../engine/incarnation.ts";
import { GRACEFULLY_LEFT_KEY, type MemberDelta, TYPE } from "../../engine/types.ts";
import { ed25519Signing, newSigningKey } from "../../security/cluster_keys.ts";
import { entry } from "../engine/harness.ts";
import { decode, encode } from "../../protocol/codec.ts";
import { forge, Insider, jtiOf, newIdentity } from "./attacker.ts";
import { KEY, member, stateOf, withInsider } from "./signing_members.ts";
import { eventually, hears } from "./waits.ts";

/** Ways of an insider to claim a later incarnation of a member without its signature. */
const LATER_LIVES: Readonly<
  Record<string, (at: { insider: Insider; incarnation: string; own: MemberDelta }) => unknown>
> = {
  "a refusal": ({ insider, incarnation }) => insider.refuse({ incarnation }),
  "a refusal with a state under the insider's key": async ({ insider, incarnation, own }) => {
    const state = await insider.forge({ id: own.id, incarnation, number: 2, entries: [entry("k", 2, 1)] });
    insider.refuse({ incarnation, state });
  },
  "a refusal with the member's state under another incarnation": ({ insider, incarnation, own }) => {
    insider.refuse({ incarnation, state: { ...own, incarnation } });
  },
  "a refusal with the insider's own state": async ({ insider, incarnation }) => {
    const { id } = insider;
    insider.refuse({ incarnation, state: await insider.forge({ id, incarnation, number: 1, entries: [] }) });
  },
  "a refusal with no entries": ({ insider, incarnation, own: { id } }) => {
    insider.refuse({ incarnation, state: { id, incarnation, after: 0, reset: false, entries: [] } });
  },
  "a refusal with the member's state of now": ({ insider, incarnation, own }) =>
    insider.refuse({ incarnation, state: own }),
  "an acknowledgement": async ({ insider, incarnation, own }) => {
    while (!insider.reply(new Map([[own.id, { incarnation, number: 7 }]]))) {
      await insider.wire.hears("gossip");
    }
  },
  "a gossip": ({ insider, incarnation, own }) => insider.gossip({ ...own, incarnation }),
};

for (const [what, claim] of Object.entries(LATER_LIVES)) {
  Deno.test(`signatures: a claim that a member has a later incarnation, in ${what}, has no effect without that member's signature`, async () => {
    await using all = await withInsider();
    const { ada, ben, insider } = all;
    const { id, incarnation } = ada.members.find(({ isSelf }) => isSelf)!;
    const own = await stateOf(ada);
    const lives: string[] = [];
    const over = new AbortController();
    const listening = (async () => {
      for await (const event of ada.events.subscribe("IncarnationRenewed", over)) {
        if (event.type === "IncarnationRenewed") lives.push(event.incarnation);
      }
    })();
    await claim({ insider, incarnation: incarnationAbove(incarnation!, Date.now() + 60_000, 0.5), own });
    // Messages are handled in order, so a reply to this gossip shows that the claim was handled.
    const asked = insider.gossip();
    await eventually(() => insider.wire.received.some((each) => each.type === "reply" && each.id === asked));
    ada.setState("k", "unmoved");
    await hears(ben, id, "unmoved");
    over.abort();
    await listening;
    assertEquals([lives, ada.members.find(({ isSelf }) => isSelf)!.incarnation], [[], incarnation]);
  });
}

Deno.test("signatures: a refused dial does not raise the incarnation without the member's own signature", async () => {
  const refused = Promise.withResolvers<void>();
  let greetings = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const token = request.headers.get("authorization")!.slice("Bearer ".length);
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "hearsay.v2" });
    socket.addEventListener("message", async ({ data }) => {
      const hello = decode(String(data), { maxMessageBytes: 2 ** 20 });
      if (hello.type !== "hello") return;
      const claims = { token: jtiOf(token) };
      const proof = await forge({ key: KEY, id: "mallory", typ: "hearsay-proof+jwt", claims });
      const incarnation = incarnationAbove(hello.incarnation, Date.now() + 60_000, 0.5);
      const { id } = hello;
      socket.send(encode({ type: "error", id, code: "id_conflict", message: "no", incarnation, proof }));
      if (++greetings === 3) refused.resolve();
    });
    return response;
  });
  await using ada = await member({ seeds: [`ws://127.0.0.1:${server.addr.port}`] });
  const { incarnation } = ada.members[0]!;
  await refused.promise;
  assertEquals(ada.members[0]!.incarnation, incarnation);
  await ada.stop();
  await server.shutdown();
});

Deno.test("signatures: a member whose clock stepped back is let in again: the refusal carries its state of the later incarnation", async () => {
  await using ada = await member();
  const signingKey = await newSigningKey();
  const signing = await ed25519Signing(signingKey);
  const incarnation = makeIncarnation(Date.now() + 3_600_000, 0.5);
  const before = await Insider.withHandshake(ada.address, {
    key: KEY,
    as: { id: "ben", incarnation, signing },
  });
  before.gossip(
    await before.forge({ id: "ben", incarnation, number: 2, entries: [entry("k", 2, "before")] }),
  );
  await hears(ada, "ben", "before");
  await before[Symbol.asyncDispose]();
  await using ben = await member({
    id: "ben",
    seeds: [ada.address],
    authentication: { keys: [KEY], sign: true, signingKey },
  });
  const first = ben.members.find(({ isSelf }) => isSelf)!.incarnation!;
  assert(first < incarnation);
  ben.setState("k", "after");
  await hears(ada, "ben", "after");
  const held = ada.members.find(({ id }) => id === "ben")!;
  assertEquals([held.incarnation! > incarnation, held.status], [true, "alive"]);
});

Deno.test("signatures: an old state of a later incarnation, replayed to a peer, is sent back to its owner, which rejoins", async () => {
  await using ada = await member();
  const signingKey = await newSigningKey();
  const signing = await ed25519Signing(signingKey);
  await using ben = await member({
    id: "ben",
    seeds: [ada.address],
    authentication: { keys: [KEY], sign: true, signingKey },
  });
  ben.setState("k", "now");
  await hears(ada, "ben", "now");
  const incarnation = makeIncarnation(Date.now() + 3_600_000, 0.5);
  const of = await newIdentity();
  await using insider = await Insider.withHandshake(ada.address, { key: KEY, as: of });
  const kept = new Insider({ id: "ben", incarnation, signing }, { wire: insider.wire, token: "" });
  const left = { key: GRACEFULLY_LEFT_KEY, number: 3, type: TYPE.empty, value: {}, json: "{}" };
  const entries = [entry("k", 2, "long ago"), left];
  insider.gossip(await kept.forge({ id: "ben", incarnation, number: 3, entries }));
  await eventually(() => ada.blockedMembers.some(({ reason }) => reason === "left"));
  await eventually(() => ada.blockedMembers.length === 0);
  ben.setState("k", "again");
  await hears(ada, "ben", "again");
});
