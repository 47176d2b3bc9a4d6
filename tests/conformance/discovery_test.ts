import { etcd } from "../../discovery/etcd/etcd.ts";
import { kubernetes } from "../../discovery/kubernetes/kubernetes.ts";
import { autoManaged, protoactorEtcd } from "../../protoactor/discovery.ts";
import { anyOf, dns, fixedMembers, seeds } from "../../mod.ts";
import { discoveryContract, type Place } from "./discovery.ts";
import { DnsServer, withoutDns } from "../discovery/dns_server.ts";
import { EtcdServer, withoutEtcd } from "../discovery/etcd_server.ts";
import { KubernetesStandIn } from "../discovery/kubernetes_server.ts";
import { freePort } from "../process/ports.ts";

const nothing = () => Promise.resolve();

discoveryContract("a fixed list", {
  isFixed: true,
  canBeDown: false,
  makeWorld: (places) =>
    Promise.resolve({
      discoveryFor: () =>
        fixedMembers(places.map(({ id, port }) => ({ id, host: "127.0.0.1", port, kinds: [] }))),
      [Symbol.asyncDispose]: nothing,
    }),
});

discoveryContract("seeds, one of which is always down", {
  canBeDown: false,
  makeWorld: (places) =>
    Promise.resolve({
      discoveryFor: () =>
        seeds([`ws://127.0.0.1:${freePort()}`, ...places.map(({ port }) => `ws://127.0.0.1:${port}`)]),
      [Symbol.asyncDispose]: nothing,
    }),
});

discoveryContract("the automanaged provider", {
  canBeDown: false,
  makeWorld: (places) => {
    const healthPorts = new Map(places.map(({ id }) => [id, freePort()]));
    const hosts = [...healthPorts.values()].map((port) => `127.0.0.1:${port}`);
    return Promise.resolve({
      discoveryFor: ({ id }: Place) =>
        autoManaged({ hosts, port: healthPorts.get(id)!, refreshInterval: 50 }),
      [Symbol.asyncDispose]: nothing,
    });
  },
});

discoveryContract("DNS", {
  canBeDown: true,
  without: withoutDns,
  makeWorld: async () => {
    const server = await DnsServer.start();
    const { nameServer } = server;
    const there: string[] = [];
    return {
      async discoveryFor({ port }) {
        // The new member is in the records before it joins; the others find it at their next lookup.
        if (!there.includes(`gossip.test:${port}`)) there.push(`gossip.test:${port}`);
        await server.set({
          hosts: { "gossip.test": ["127.0.0.1"] },
          services: { "_gossip._tcp.test": there },
        });
        return dns("_gossip._tcp.test", { nameServer, interval: 100 });
      },
      down: () => server.down(),
      up: () => server.up(),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
});

discoveryContract("etcd", {
  canBeDown: true,
  without: withoutEtcd,
  makeWorld: async () => {
    const server = await EtcdServer.start();
    return {
      discoveryFor: () => etcd({ endpoints: [server.endpoint], leaseTtl: 2_000, requestTimeout: 500 }),
      down: () => server.down(),
      up: () => server.up(),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
});

discoveryContract("protoactor-go's etcd provider", {
  canBeDown: true,
  without: withoutEtcd,
  makeWorld: async () => {
    const server = await EtcdServer.start();
    return {
      discoveryFor: () => protoactorEtcd({ endpoints: [server.endpoint], requestTimeout: 500 }),
      down: () => server.down(),
      up: () => server.up(),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
});

/** A stand-in with a new pod for every member about to join. */
async function kubernetesWorld() {
  const standIn = await KubernetesStandIn.start();
  const { server, serviceAccount } = standIn;
  return {
    discoveryFor({ id, port }: Place) {
      standIn.set(id, { ip: "127.0.0.1", port });
      return kubernetes({ labelSelector: "app=orders", port: "gossip", server, serviceAccount });
    },
    down: () => standIn.down(),
    up: () => standIn.up(),
    [Symbol.asyncDispose]: () => standIn[Symbol.asyncDispose](),
  };
}

discoveryContract("Kubernetes, a stand-in", { canBeDown: true, makeWorld: kubernetesWorld });

discoveryContract("any of seeds that are down and Kubernetes, a stand-in", {
  canBeDown: true,
  makeWorld: async () => {
    const world = await kubernetesWorld();
    const dead = seeds([`ws://127.0.0.1:${freePort()}`]);
    return { ...world, discoveryFor: (place) => anyOf(dead, world.discoveryFor(place)) };
  },
});
