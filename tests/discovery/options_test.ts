import { assertEquals, assertThrows } from "../../deps/std_assert.ts";
import { anyOf } from "../../discovery/any_of.ts";
import { dns } from "../../discovery/dns.ts";
import { etcd } from "../../discovery/etcd/etcd.ts";
import { fixedMembers } from "../../discovery/fixed.ts";
import { kubernetes } from "../../discovery/kubernetes/kubernetes.ts";
import { autoManaged, protoactorEtcd } from "../../protoactor/discovery.ts";
import { seeds } from "../../discovery/seeds.ts";
import { ConfigurationError } from "../../options/configuration_error.ts";

const POD = { labelSelector: "app=orders", port: 7001 };
const MEMBER = { id: "a", host: "10.0.0.1", port: 1, kinds: [] };

/** Refused calls, and the expected texts. */
const REFUSED: readonly (readonly [call: () => unknown, wrong: readonly string[]])[] = [
  [() => dns("a", { prot: 1 } as never), ["dns.prot is not an option"]],
  [() => dns("a", 7001 as never), ["dns must be an object: given 7001"]],
  [() => dns("a", { secure: "yes" as never }), ['dns.secure must be true or false: given "yes"']],
  [() => dns("a", { nameServer: { ip: "10.0.0.1" } as never }), [
    "dns.nameServer.ip is not an option",
    "dns.nameServer.ipAddr must be a text that is not empty: given undefined",
  ]],
  [() => seeds("ws://10.0.0.1:1" as never), ['seeds must be a list: given "ws://10.0.0.1:1"']],
  [() => seeds(["10.0.0.1", "10.0.0.1:1"]), [
    'seeds[0] must be a member\'s address: given "10.0.0.1"',
    'seeds[1] must be a member\'s address: given "10.0.0.1:1"',
  ]],
  [() => seeds(["ws://10.0.0.1:0", "ws://0.0.0.0:1"]), [
    'seeds[0] must be a member\'s address: given "ws://10.0.0.1:0"',
    'seeds[1] must be a member\'s address: given "ws://0.0.0.0:1"',
  ]],
  [() => seeds([], { resolveIntervall: 1 } as never), [
    "seeds.resolveIntervall is not an option (did you mean resolveInterval?)",
  ]],
  [() => etcd({ endpoint: ["http://10.0.0.1:2379"] } as never), [
    "etcd.endpoint is not an option (did you mean endpoints?)",
  ]],
  [() => etcd({ endpoints: "http://10.0.0.1:2379" as never }), [
    'etcd.endpoints must be a list: given "http://10.0.0.1:2379"',
  ]],
  [() => etcd({ password: 1234 as never, tls: { cert: "/etc/etcd/cert.pem", key: "TOP SECRET" } }), [
    "etcd.password must be a text: given something else",
    'etcd.tls.cert must be the text in a PEM file, as `await Deno.readTextFile(path)` reads it, and not its path: given "/etc/etcd/cert.pem"',
    "etcd.tls.key must be the text in a PEM file, as `await Deno.readTextFile(path)` reads it, and not its path: given something else",
  ]],
  [() => protoactorEtcd({ prefix: "/x" } as never), [
    "protoactorEtcd.prefix is not an option",
  ]],
  [() => kubernetes({ ...POD, selector: "app=orders" } as never), [
    "kubernetes.selector is not an option",
  ]],
  [() => kubernetes({ port: 7001 } as never), [
    "kubernetes.labelSelector must be a label selector: given undefined",
  ]],
  [() => kubernetes({ ...POD, server: "kubernetes" }), [
    'kubernetes.server must be a URL: given "kubernetes"',
  ]],
  [() => autoManaged({ host: ["10.0.0.1:6330"] } as never), [
    "autoManaged.host is not an option (did you mean hosts?)",
    "autoManaged.hosts must be a list: given undefined",
  ]],
  [() => autoManaged(undefined as never), ["autoManaged must be an object: given undefined"]],
  [() => fixedMembers([MEMBER, { ...MEMBER, host: "" }, "b" as never]), [
    'members[1].id must be an id that no other member has: given "a"',
    'members[1].host must be a name or an address that others can dial, such as "10.0.0.5": given ""',
    "members[2].id must be a text of 1 to 256 bytes: given undefined",
    'members[2].host must be a name or an address that others can dial, such as "10.0.0.5": given undefined',
    "members[2].port must be a whole number from 0 (any that is free) to 65535: given undefined",
  ]],
  [() => anyOf(seeds([]), {} as never), [
    'anyOf[1] must be a source of members, such as `seeds(["ws://127.0.0.1:7001"])`: given an object',
  ]],
];

for (const [call, wrong] of REFUSED) {
  Deno.test(`discovery options: a source refuses invalid options: ${wrong[0]} (R12.3)`, () => {
    const { problems, code } = assertThrows(call, ConfigurationError);
    const shown = problems.map(({ field, problem, given }) => {
      return `${field} ${problem}${given === "" ? "" : `: given ${given}`}`;
    });
    assertEquals(shown, wrong);
    assertEquals(code, "invalid_configuration");
  });
}
