import { assert, assertEquals, assertLess, assertMatch, assertThrows } from "../../deps/std_assert.ts";
import type { Runtime } from "../../common/runtime.ts";
import { realRuntime } from "../../common/runtime.ts";
import { EtcdClient } from "../../discovery/etcd/client.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";
import { type EtcdLeader, etcdLeader, type EtcdLeaderAnswer } from "../../roles/etcd_leader.ts";
import { EtcdServer, etcdTest, Proxy } from "../discovery/etcd_server.ts";
import { freePort } from "../process/ports.ts";

const KEY = "/hearsay/leaders/mailer/leader";
/** Far above what any wait needs. */
const BOUND_MS = 15_000;

function candidate(id: string, endpoint: string, options: { ttl?: number; runtime?: Runtime } = {}) {
  return etcdLeader({ name: "mailer", id, endpoints: [endpoint], ttl: 2_000, ...options });
}

/** Resolves with the first answer that fits. */
async function until(
  role: EtcdLeader,
  fits: (answer: EtcdLeaderAnswer) => boolean,
): Promise<EtcdLeaderAnswer> {
  for await (const answer of role.watch({ signal: AbortSignal.timeout(BOUND_MS) })) {
    if (fits(answer)) return answer;
  }
  throw new Error(`The last answer was ${JSON.stringify(role.current, (_, each) => String(each))}.`);
}

async function untilKnown(role: EtcdLeader, leader: string) {
  const answer = await until(role, (each) => each.state === "known" && each.leader === leader);
  assert(answer.state === "known");
  return answer;
}

/** The clocks of a machine that the test can move ahead; its timers do not notice. */
class SleepingMachine implements Runtime {
  monotonicAheadMs = 0;
  wallAheadMs = 0;
  monotonicMs = () => realRuntime.monotonicMs() + this.monotonicAheadMs;
  wallMs = () => realRuntime.wallMs() + this.wallAheadMs;
  random = () => realRuntime.random();
  setTimer = (delayMs: number, callback: () => void) => realRuntime.setTimer(delayMs, callback);
}

etcdTest("etcdLeader: one candidate leads, and the next one has a higher token", async () => {
  await using server = await EtcdServer.start();
  await using ada = candidate("ada", server.endpoint);
  const first = await untilKnown(ada, "ada");
  await using ben = candidate("ben", server.endpoint);
  const seen = await untilKnown(ben, "ada");
  assertEquals([first.isSelf, seen.isSelf, seen.token], [true, false, first.token]);
  assertEquals([first.signal!.aborted, seen.signal], [false, undefined]);
  const startedMs = performance.now();
  await ada.stop();
  const second = await untilKnown(ben, "ben");
  // The key is deleted at the stop: its lease would last for two seconds.
  assert(performance.now() - startedMs < 1_500);
  assert(second.token > first.token);
  assertEquals([ada.current, first.signal!.aborted], [{ state: "unknown", reason: "ended" }, true]);
  await ada.stop();
});

etcdTest("etcdLeader: the token is the revision at which the key was created", async () => {
  await using server = await EtcdServer.start();
  await server.put("/other", "1");
  await using ada = candidate("ada", server.endpoint);
  const { token } = await untilKnown(ada, "ada");
  const { kvs } = await server.call("kv/range", { key: btoa(KEY) }) as {
    kvs: { create_revision: string; value: string }[];
  };
  assertEquals(kvs.map(({ create_revision, value }) => [create_revision, atob(value)]), [[
    `${token}`,
    "ada",
  ]]);
});

etcdTest("etcdLeader: a leader that is cut off gives up before etcd lets the next one lead", async () => {
  await using server = await EtcdServer.start();
  await using way = new Proxy(server.endpoint);
  await using ada = candidate("ada", way.endpoint);
  const { signal } = await untilKnown(ada, "ada");
  await using ben = candidate("ben", server.endpoint);
  await untilKnown(ben, "ada");
  let gaveUpMs: number | undefined;
  signal!.addEventListener("abort", () => gaveUpMs = performance.now());
  way.cut();
  const cutMs = performance.now();
  await untilKnown(ben, "ben");
  const takenMs = performance.now();
  assert(gaveUpMs !== undefined, "the former leader still leads");
  // Measured on an idle machine: about 0.4 s after nine tenths of the time to live.
  assert(gaveUpMs < takenMs && gaveUpMs - cutMs <= 2_100, `${gaveUpMs - cutMs} of ${takenMs - cutMs} ms`);
  const { current } = ada;
  assertEquals(current.state === "unknown" && current.reason, "unreachable");
  way.heal();
  assertEquals((await untilKnown(ada, "ben")).isSelf, false);
});

etcdTest("etcdLeader: a short failure of etcd ends no leadership", async () => {
  await using server = await EtcdServer.start();
  await using way = new Proxy(server.endpoint);
  await using ada = candidate("ada", way.endpoint, { ttl: 3_000 });
  const { token, signal } = await untilKnown(ada, "ada");
  way.cut();
  await new Promise((resolve) => setTimeout(resolve, 500));
  way.heal();
  // Longer than the lease would last without a renewal.
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  const { current } = ada;
  assertEquals([signal!.aborted, current.state === "known" && current.token], [false, token]);
});

for (const clock of ["monotonicAheadMs", "wallAheadMs"] as const) {
  etcdTest(`etcdLeader: a process that slept does not lead when it wakes up (${clock})`, async () => {
    await using server = await EtcdServer.start();
    const runtime = new SleepingMachine();
    await using ada = candidate("ada", server.endpoint, { ttl: 60_000, runtime });
    await untilKnown(ada, "ada");
    runtime[clock] = 53_000;
    assertEquals(ada.current.state, "known");
    runtime[clock] = 54_001;
    // No timer has fired, and no request has failed.
    assertEquals(ada.current, { state: "unknown", reason: "unreachable" });
  });
}

etcdTest("etcdLeader: a deleted key ends the leadership, and the next one has a higher token", async () => {
  await using server = await EtcdServer.start();
  await using ada = candidate("ada", server.endpoint, { ttl: 60_000 });
  const first = await untilKnown(ada, "ada");
  await server.delete(KEY);
  const next = await until(ada, (answer) => answer.state === "known" && answer.token > first.token);
  assert(next.state === "known" && next.isSelf);
  assertEquals([first.signal!.aborted, next.signal!.aborted], [true, false]);
});

etcdTest(
  "etcdLeader: a revoked lease ends the leadership, and the candidate returns with a new one",
  async () => {
    await using server = await EtcdServer.start();
    await using ada = candidate("ada", server.endpoint, { ttl: 3_000 });
    const first = await untilKnown(ada, "ada");
    const { leases } = await server.call("lease/leases", {}) as { leases: { ID: string }[] };
    for (const { ID } of leases) await server.call("lease/revoke", { ID });
    const next = await until(ada, (answer) => answer.state === "known" && answer.token > first.token);
    assert(next.state === "known" && next.isSelf);
  },
);

etcdTest("etcdLeader: a key that a lost answer created belongs to the candidate", async () => {
  await using server = await EtcdServer.start();
  using client = new EtcdClient({ endpoints: [server.endpoint] }, realRuntime);
  const signal = AbortSignal.timeout(BOUND_MS);
  const lease = await client.grant(60, { signal });
  const made = await client.createOrRead({ key: KEY, value: "ada" }, { lease, signal });
  const again = await client.createOrRead({ key: KEY, value: "ada" }, { lease, signal });
  assertEquals([again.created, again.lease, again.value], [made.created, lease, "ada"]);
});

Deno.test("etcdLeader: without etcd the leader is unknown with the error as reason, and `stop` returns", async () => {
  await using ada = candidate("ada", `http://127.0.0.1:${freePort()}`);
  assertEquals(ada.current, { state: "unknown", reason: "starting" });
  const answer = await until(ada, (each) => each.state === "unknown" && each.reason === "unreachable");
  assert(answer.state === "unknown");
  assertEquals(answer.error?.code, "connection");
  const changes = Array.fromAsync(ada.watch());
  await ada.stop();
  assertEquals((await changes).at(-1), { state: "unknown", reason: "ended" });
});

/** A gateway that grants leases, and answers transactions and watches as given; counts these. */
function fakeEtcd(
  { txn, watch }: { readonly txn: () => Response | Promise<Response>; readonly watch?: () => Response },
) {
  const asked = { txn: 0, watch: 0 };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    await request.text();
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("/lease/grant")) return Response.json({ ID: "7" });
    if (pathname.endsWith("/lease/keepalive")) return Response.json({ result: { TTL: "2" } });
    if (pathname.endsWith("/kv/txn")) return asked.txn++, txn();
    if (pathname.endsWith("/watch") && watch) return asked.watch++, watch();
    return Response.json({});
  });
  return {
    asked,
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("etcdLeader: if etcd renews leases but refuses the key, the leader is unknown as unreachable, with the reason", async () => {
  let mayWrite = true;
  await using server = fakeEtcd({
    txn: () =>
      mayWrite
        ? Response.json({ header: { revision: "5" }, succeeded: true })
        : new Response("permission denied", { status: 403 }),
    watch: () => new Response("permission denied", { status: 403 }),
  });
  await using ada = candidate("ada", server.endpoint);
  const first = await untilKnown(ada, "ada");
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  // The watches fail, and the key is read again and again instead.
  assertEquals([ada.current, first.signal!.aborted], [first, false]);
  mayWrite = false;
  const later = await until(ada, (each) => each.state === "unknown");
  assert(later.state === "unknown" && first.signal!.aborted);
  assertMatch(`${later.reason}: ${later.error?.message}`, /^unreachable: .*permission denied/);
  await using ben = candidate("ben", server.endpoint);
  const answer = await until(ben, (each) => each.state === "unknown" && each.reason !== "starting");
  assert(answer.state === "unknown");
  assertMatch(answer.error!.message, /permission denied/);
});

Deno.test("etcdLeader: the error of a request without an answer names its limit in whole milliseconds", async () => {
  const ending = Promise.withResolvers<Response>();
  await using etcd = fakeEtcd({ txn: () => ending.promise });
  await using ada = candidate("ada", etcd.endpoint);
  const answer = await until(ada, (each) => each.state === "unknown" && each.reason === "unreachable");
  // Otherwise the server would wait for its answer.
  ending.resolve(new Response());
  assert(answer.state === "unknown");
  assertMatch(answer.error!.message, / took longer than 666 ms\.$/);
});

Deno.test("etcdLeader: watches that end at once cause no flood of requests", async () => {
  await using server = fakeEtcd({
    txn: () => Response.json({ header: { revision: "5" }, succeeded: true }),
    watch: () => new Response(`${JSON.stringify({ result: { created: true } })}\n`),
  });
  await using ada = candidate("ada", server.endpoint);
  await untilKnown(ada, "ada");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assertEquals(ada.current.state, "known");
  assertLess(server.asked.watch, 15);
});

Deno.test("etcdLeader: refuses certificates that cannot be used", () => {
  const caCerts = ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"];
  const options = { name: "mailer", id: "ada", endpoints: ["https://127.0.0.1:1"], tls: { caCerts } };
  assertThrows(() => etcdLeader(options), ConfigurationError, "`etcdLeader.tls` cannot be used: ");
});

Deno.test("etcdLeader: an aborted signal stops the role, even before it begins", async () => {
  const role = etcdLeader({ name: "mailer", id: "ada", signal: AbortSignal.abort() });
  assertEquals(role.current, { state: "unknown", reason: "ended" });
  assertEquals((await Array.fromAsync(role.watch())).length, 1);
  await role.stop();
});

Deno.test("etcdLeader: refuses options with the rule and the value", () => {
  const error = assertThrows(
    () => etcdLeader({ name: "", id: "ada", ttl: 10, endpoints: ["127.0.0.1"] }),
    ConfigurationError,
  );
  assertMatch(error.message, /`etcdLeader.name` must be a text that is not empty; got ""/);
  assertMatch(
    error.message,
    /`etcdLeader.ttl` must be an integer from 2,000 to 86,400,000 milliseconds; got 10/,
  );
  assertMatch(error.message, /`etcdLeader.endpoints\[0\]` must be an endpoint/);
  assertThrows(() => etcdLeader({ name: "a" } as never), ConfigurationError, "etcdLeader.id");
});
