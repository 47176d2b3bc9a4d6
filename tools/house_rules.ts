/**
 * House rules as a plugin for `deno lint`: the layers of imports, and no clock, timer or random source except in the
 * runtime.
 *
 * @module
 */

const ROOT = new URL("..", import.meta.url).pathname;

/** The folders of the product in order: each may import those before it, except where `APART` says otherwise. */
const FOLDERS = [
  "deps",
  "common",
  "engine",
  "options",
  "protocol",
  "contracts",
  "security",
  "gossiper",
  "transport",
  "discovery",
  "testing",
  "observer",
  "node",
  "messages",
  "operations",
  "consensus",
  "keys",
  "maps",
  "adapters",
  "roles",
  "members",
  "browser",
  "protoactor",
  "cli",
];
/** The folders that `mod.ts` does not reach: a program imports them by a path of their own. */
const OPTIONAL: readonly string[] = [
  "deps",
  "testing",
  "operations",
  "consensus",
  "keys",
  "maps",
  "adapters",
  "roles",
  "members",
  "messages",
  "browser",
  "protoactor",
  "cli",
];
/** The folders with code of the product's own. */
export const PRODUCT: readonly string[] = FOLDERS.filter((folder) => folder !== "deps");
/** The engine is pure, and what stands on the contracts does not know its neighbors. */
const APART: ReadonlyMap<string, readonly string[]> = new Map([
  ["deps", []],
  ["engine", []],
  ...["gossiper", "transport", "discovery", "testing"].map((folder) =>
    [folder, FOLDERS.slice(0, FOLDERS.indexOf("gossiper"))] as const
  ),
  ["consensus", FOLDERS.slice(0, FOLDERS.indexOf("transport"))],
  ["keys", [...FOLDERS.slice(0, FOLDERS.indexOf("transport")), "consensus"]],
  ["maps", FOLDERS.slice(0, FOLDERS.indexOf("transport"))],
  ...["adapters", "roles", "browser"].map((folder) =>
    [folder, FOLDERS.slice(0, FOLDERS.indexOf("operations"))] as const
  ),
  ["members", FOLDERS.slice(0, FOLDERS.indexOf("transport"))],
  ["protoactor", [...FOLDERS.slice(0, FOLDERS.indexOf("operations")), "maps"]],
]);
/** Folders and `mod.ts`, each with the folders that it may import. */
const LAYERS: ReadonlyMap<string, readonly string[]> = new Map([
  ...FOLDERS.map((folder, index) => [folder, APART.get(folder) ?? FOLDERS.slice(0, index)] as const),
  ["mod.ts", FOLDERS.filter((folder) => !OPTIONAL.includes(folder))],
  ["cli.ts", ["cli"]],
]);

/** Folders without a clock, a timer, a random source or output of their own. */
const PURE = new Set(PRODUCT);
/** The runtimes: the real one, and the virtual one of tests. */
const RUNTIMES = new Set(["common/runtime.ts", "testing/virtual_runtime.ts"]);
/** The only file that may print. */
const LOG = "common/log.ts";

/** Globals that are forbidden as a whole. */
const FORBIDDEN = new Set(["Temporal", "performance", "setImmediate", "setInterval", "setTimeout"]);
/** Forbidden members of globals with harmless members. */
const FORBIDDEN_MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ["AbortSignal", ["timeout"]],
  ["Date", ["now"]],
  ["Math", ["random"]],
  ["crypto", ["getRandomValues", "randomUUID"]],
]);
const GLOBAL_OBJECTS = new Set(["globalThis", "self", "window"]);

/** The path from the root of the checkout. */
function pathOf(filename: string): string {
  const path = filename.replaceAll("\\", "/");
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path.replace(/^\.?\//, "");
}

/** The first folder of a path, or the name of a file at the root. */
function layerOf(path: string): string {
  return path.split("/")[0] ?? "";
}

/** The error text for an import; `undefined` if it is allowed. */
function importFault(path: string, specifier: string): string | undefined {
  const layer = layerOf(path);
  const allowed = LAYERS.get(layer);
  if (/^\.{1,2}\//.test(specifier)) {
    if (allowed === undefined) return undefined;
    const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
    const to = layerOf(target);
    if (to === layer || allowed.includes(to)) return undefined;
    return `${layer} must not import ${to}. Imports go only downwards, by the folders of tools/house_rules.ts.`;
  }
  const scheme = /^([a-z][a-z0-9+.-]*):/.exec(specifier)?.[1];
  if (scheme === undefined) {
    if (allowed === undefined) return undefined;
    return `"${specifier}" must not be a bare specifier: a module imported by URL has no import map.`;
  }
  if (scheme === "node" && allowed === undefined) return undefined;
  if (layer !== "deps") return `"${specifier}" must be imported by a file in deps/ only.`;
  if (scheme === "npm" && !/^npm:(@[^/@]+\/)?[^/@]+@\d+\.\d+\.\d+(\/|$)/.test(specifier)) {
    return `"${specifier}" must have one exact version.`;
  }
  return undefined;
}

function literal(node: Deno.lint.Node | null | undefined): string | undefined {
  return node?.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
}

const imports: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context.filename);
    const check = (node: Deno.lint.Node, source: Deno.lint.Node | null | undefined) => {
      if (!source) return;
      const specifier = literal(source);
      if (specifier === undefined) {
        if (!LAYERS.has(layerOf(path))) return;
        context.report({ node, message: "The specifier of an import must be a literal." });
        return;
      }
      const message = importFault(path, specifier);
      if (message !== undefined) context.report({ node, message });
    };
    return {
      ImportDeclaration: (node) => check(node, node.source),
      ExportNamedDeclaration: (node) => check(node, node.source),
      ExportAllDeclaration: (node) => check(node, node.source),
      ImportExpression: (node) => check(node, node.source),
      TSImportType: (node) =>
        check(node, node.argument.type === "TSLiteralType" ? node.argument.literal : node.argument),
    };
  },
};

/** The most lines of a function of the product. */
const MAX_LINES = 50;

const shortFunctions: Deno.lint.Rule = {
  create(context) {
    if (!LAYERS.has(layerOf(pathOf(context.filename)))) return {};
    const check = (node: Deno.lint.Node & { readonly body?: Deno.lint.Node | null }) => {
      if (!node.body) return;
      const [start, end] = node.body.range;
      const lines = context.sourceCode.text.slice(start, end).split("\n").length;
      if (lines <= MAX_LINES) return;
      context.report({
        node,
        message: `A function must have at most ${MAX_LINES} lines; this one has ${lines}.`,
      });
    };
    return {
      FunctionDeclaration: check,
      FunctionExpression: check,
      ArrowFunctionExpression: check,
    };
  },
};

/** True if an identifier is a value in scope, and not a member, a key or a type. */
function isReference(node: Deno.lint.Identifier): boolean {
  const parent = node.parent as Deno.lint.Node & { computed?: boolean; shorthand?: boolean };
  const at = (other: Deno.lint.Node | null | undefined) =>
    !!other && other.range[0] === node.range[0] && other.range[1] === node.range[1];
  switch (parent.type) {
    case "MemberExpression":
      return parent.computed || at(parent.object);
    case "Property":
      return parent.computed || parent.shorthand || !at(parent.key);
    case "MethodDefinition":
    case "PropertyDefinition":
      return parent.computed || !at(parent.key);
    case "ImportSpecifier":
    case "ExportSpecifier":
    case "LabeledStatement":
      return false;
    default:
      // Types do not run. A `typeof x` in a type is a type, too.
      return !parent.type.startsWith("TS") || parent.type.endsWith("Expression");
  }
}

/** The name of an accessed member; `undefined` if it is computed at run time. */
function memberName(node: Deno.lint.MemberExpression): string | undefined {
  if (!node.computed) return node.property.type === "Identifier" ? node.property.name : undefined;
  return literal(node.property);
}

/** The name of the global in the expression `x` or `globalThis.x`. */
function globalName(node: Deno.lint.Node): string | undefined {
  if (node.type === "Identifier") return GLOBAL_OBJECTS.has(node.name) ? undefined : node.name;
  if (node.type !== "MemberExpression" || node.object.type !== "Identifier") return undefined;
  return GLOBAL_OBJECTS.has(node.object.name) ? memberName(node) : undefined;
}

const runtimeOnly: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context.filename);
    if (!PURE.has(layerOf(path)) || RUNTIMES.has(path)) return {};
    const reported = new Set<number>();
    const report = (node: Deno.lint.Node, what: string) => {
      // A shorthand property has two nodes at one place.
      if (reported.has(node.range[0])) return;
      reported.add(node.range[0]);
      context.report({
        node,
        message: `${what} must not be used: clocks, timers and random numbers come from the Runtime.`,
      });
    };
    /** A global assigned to another name would hide uses of its members. */
    const isHidden = ({ parent }: Deno.lint.Identifier | Deno.lint.MemberExpression) =>
      !["MemberExpression", "NewExpression", "BinaryExpression"].includes(parent.type) &&
      !parent.type.startsWith("TS");
    const check = (node: Deno.lint.Identifier | Deno.lint.MemberExpression) => {
      const name = globalName(node);
      if (name === undefined) return;
      if (FORBIDDEN.has(name)) report(node, name);
      else if (FORBIDDEN_MEMBERS.has(name) && isHidden(node)) report(node, name);
    };
    return {
      Identifier(node) {
        if (isReference(node)) check(node);
      },
      MemberExpression(node) {
        check(node);
        const [object, member] = [globalName(node.object), memberName(node)];
        const members = object === undefined ? undefined : FORBIDDEN_MEMBERS.get(object);
        if (members === undefined) return;
        if (member === undefined) report(node, `a computed member of ${object}`);
        else if (members.includes(member)) report(node, `${object}.${member}`);
      },
      NewExpression(node) {
        if (globalName(node.callee) === "Date" && node.arguments.length === 0) report(node, "new Date()");
      },
    };
  },
};

const noConsole: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context.filename);
    if (!PURE.has(layerOf(path)) || path === LOG) return {};
    const check = (node: Deno.lint.Identifier | Deno.lint.MemberExpression) => {
      if (globalName(node) !== "console") return;
      context.report({ node, message: "A library must not print. Emit an event or throw an error." });
    };
    return {
      Identifier: (node) => isReference(node) && check(node),
      MemberExpression: check,
    };
  },
};

const modExportsOnly: Deno.lint.Rule = {
  create(context) {
    if (pathOf(context.filename) !== "mod.ts") return {};
    return {
      Program(program) {
        for (const node of program.body) {
          const named = node.type === "ExportNamedDeclaration" && node.source !== null;
          if (!named) {
            context.report({ node, message: "mod.ts must contain only `export { … } from …`." });
          }
        }
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "imports": imports,
    "short-functions": shortFunctions,
    "mod-exports-only": modExportsOnly,
    "no-console": noConsole,
    "runtime-only": runtimeOnly,
  },
};

export default plugin;
