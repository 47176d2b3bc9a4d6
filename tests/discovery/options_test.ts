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
  [() => dns("a", { prot: 1 } as never), ["dns.prot is no option: given something"]],
  [() => dns("a", 7001 as never), ["dns is no object: given 7001"]],
  [() => dns("a", { secure: "yes" as never }), ['dns.secure is neither true nor false: given "yes"']],
  [() => dns("a", { nameServer: { ip: "10.0.0.1" } as never }), [
    "dns.nameServer.ip is no option: given something",
    "dns.nameServer.ipAddr is no text: given undefined",
  ]],
  [() => seeds("ws://10.0.0.1:1" as never), ['seeds is no list: given "ws://10.0.0.1:1"']],
  [() => seeds(["10.0.0.1", "10.0.0.1:1"]), [
    'seeds[0] must be a member\'s address: given "10.0.0.1"',
    'seeds[1] must be a member\'s address: given "10.0.0.1:1"',
  ]],
  [() => seeds([], { resolveIntervall: 1 } as never), [
    "seeds.resolveIntervall is no option; did you mean resolveInterval?: given something",
  ]],
  [() => etcd({ endpoint: ["http://10.0.0.1:2379"] } as never), [
    "etcd.endpoint is no option; did you mean endpoints?: given something",
  ]],
  [() => etcd({ endpoints: "http://10.0.0.1:2379" as never }), [
    'etcd.endpoints is no list: given "http://10.0.0.1:2379"',
  ]],
  [() => etcd({ password: 1234 as never, tls: { cert: "/etc/etcd/cert.pem", key: "TOP SECRET" } }), [
    "etcd.password is no text: given something else",
    'etcd.tls.cert is no PEM: given "/etc/etcd/cert.pem"',
    "etcd.tls.key is no PEM: given something else",
  ]],
  [() => protoactorEtcd({ prefix: "/x" } as never), ["protoactorEtcd.prefix is no option: given something"]],
  [() => kubernetes({ ...POD, selector: "app=orders" } as never), [
    "kubernetes.selector is no option: given something",
  ]],
  [() => kubernetes({ port: 7001 } as never), [
    "kubernetes.labelSelector must be a label selector: given undefined",
  ]],
  [() => kubernetes({ ...POD, server: "kubernetes" }), [
    'kubernetes.server must be a URL: given "kubernetes"',
  ]],
  [() => autoManaged({ host: ["10.0.0.1:6330"] } as never), [
    "autoManaged.host is no option; did you mean hosts?: given something",
    "autoManaged.hosts is no list: given undefined",
  ]],
  [() => autoManaged(undefined as never), ["autoManaged is no object: given undefined"]],
  [() => fixedMembers([MEMBER, { ...MEMBER, host: "" }, "b" as never]), [
    'members[1].id is that of another member: given "a"',
    'members[1].host is no host: given ""',
    "members[2].id is no name: given undefined",
    "members[2].host is no host: given undefined",
    "members[2].port is no port: given undefined",
    "members[2].kinds is no list of kinds: given undefined",
  ]],
  [() => anyOf(seeds([]), {} as never), ["anyOf[1] is no discovery: given an object"]],
];

for (const [call, wrong] of REFUSED) {
  Deno.test(`discovery options: a source refuses invalid options: ${wrong[0]} (R12.3)`, () => {
    const { problems, code } = assertThrows(call, ConfigurationError);
    assertEquals(problems.map(({ field, problem, given }) => `${field} ${problem}: given ${given}`), wrong);
    assertEquals(code, "invalid_configuration");
  });
}
