import type { Mutant } from "../mutant_run.ts";

const R12 = ["tests/requirements/R12_test.ts"];
const UNIT = ["tests/unit/configuration_test.ts"];
const EVENTS = ["tests/unit/event_stream_test.ts"];
const SOURCES = ["tests/unit/discovery/options_test.ts"];
const JOIN = ["tests/unit/join_test.ts"];

/** Breaks of the configuration. */
export const MUTANTS: readonly Mutant[] = [
  {
    file: "gossiper/configuration.ts",
    find: 'gossipActorName: "gossip",',
    replace: 'gossipActorName: "gossiper",',
    test: "R12.1 the actor name is gossip unless another is given",
    files: R12,
  },
  {
    file: "gossiper/configuration.ts",
    find: "gossipInterval: 300,",
    replace: "gossipInterval: 500,",
    test: "R2.6 R12.1 the defaults are protoactor-go's",
    files: UNIT,
  },
  {
    file: "gossiper/configuration.ts",
    find: "{ ...DEFAULT_CONFIG, ...settings }",
    replace: "{ ...settings, ...DEFAULT_CONFIG }",
    test: "R12.1 the six settings are taken from code",
    files: R12,
  },
  {
    file: "gossiper/yaml.ts",
    find: 'read(text, { name, ignore }), { values: override, placeOf: () => "code" }',
    replace: '{ values: override, placeOf: () => "code" }, read(text, { name, ignore })',
    test: "R12.1 where the file and the code give a setting, the code wins",
    files: R12,
  },
  {
    file: "gossiper/yaml.ts",
    find: "!ignore.includes(field)",
    replace: "ignore.includes(field) || true",
    test: "R12.1 names that are the caller's own are not looked at",
    files: R12,
  },
  {
    file: "gossiper/configuration_rules.ts",
    find: 'value !== ".."',
    replace: "true",
    test: "R12.3 gossipActorName must be a single URL path segment",
    files: UNIT,
  },
  {
    file: "gossiper/configuration_rules.ts",
    find: "least: (config) => 2 * (config.gossipInterval + config.gossipRequestTimeout)",
    replace: "least: (config) => config.gossipInterval + config.gossipRequestTimeout",
    test: "R12.3 heartbeatExpiration must be twice the interval",
    files: UNIT,
  },
  {
    file: "gossiper/options.ts",
    find: "if (steps < least) [nearest, least] = [name, steps];",
    replace: "if (steps <= least + 9) [nearest, least] = [name, steps];",
    test: "R12.3 a name that resembles no setting gets no suggestion",
    files: UNIT,
  },
  {
    file: "gossiper/configuration.ts",
    find: "if (all.length > 0) throw new ConfigurationError(all);",
    replace: "if (all.length > 0) throw new ConfigurationError(all.slice(0, 1));",
    test: "R12.3 one error names every wrong setting",
    files: UNIT,
  },
  {
    file: "gossiper/configuration.ts",
    find: "return prototype === Object.prototype || prototype === null;",
    replace: "return true;",
    test: "R12.3 what is no plain object is no configuration",
    files: UNIT,
  },
  {
    file: "gossiper/preset.ts",
    find: "Math.ceil(members / MEMBERS_PER_PLACE)",
    replace: "DEFAULT_CONFIG.gossipMaxSend",
    test: "E7 presetFor changes nothing up to 2,000 members",
    files: UNIT,
  },
  {
    file: "gossiper/gossiper.ts",
    find: "this.#config = validated(config, cluster);",
    replace: "this.#config = validated({}, cluster);",
    test: "R12.2 a gossiper is made from a configuration and a cluster",
    files: R12,
  },
  {
    file: "gossiper/validation.ts",
    find: "problems.push(...error.problems);",
    replace: "problems.push(...error.problems.slice(0, 1));",
    test: "R12.3 a gossiper is not made where a setting is wrong",
    files: R12,
  },
  {
    file: "gossiper/options.ts",
    find: "    ...unknownNames(field, given, Object.keys(rules)),\n",
    replace: "",
    test: "R12.3 a source refuses what is wrong in its options: dns.prot",
    files: SOURCES,
  },
  {
    file: "gossiper/options.ts",
    find: "if (values[name] === undefined && !required.some((each) => each === name)) return [];",
    replace: "if (values[name] === undefined) return [];",
    test: "R12.3 a source refuses what is wrong in its options: kubernetes.labelSelector",
    files: SOURCES,
  },
  {
    file: "gossiper/options.ts",
    find: '    return { field: path, problem, given: "something", allowed',
    replace: "    return { field: path, problem, given: describe(Object(given)[name]), allowed",
    test: "R12.3 a path in place of a PEM is told as one",
    files: JOIN,
  },
  {
    file: "join_options.ts",
    find: '    ...brokenBy(options, { rules: ALONE, required: ["cluster"] }),\n',
    replace: "",
    test: 'R12.3 join refuses {"cluster":"c","listen":{"port":0},"id":5}',
    files: JOIN,
  },
  {
    file: "gossiper/event_stream.ts",
    find: 'if (typeof type === "string" && Object.hasOwn(EVENT_TYPES, type)) return [];',
    replace: 'if (typeof type === "string") return [];',
    test: "R12.3 who asks for events that there are not",
    files: EVENTS,
  },
  {
    file: "gossiper/gossiper.ts",
    find: "    assertKey(key);\n    assertSignal(options.signal);\n",
    replace: "",
    test: "R4.2 what is no key cannot be asked for either",
    files: ["tests/requirements/R4_test.ts"],
  },
];
