/**
 * Lists the examples, or runs one by name: `deno task examples`, `deno task examples demo`.
 *
 * @module
 */

/** Each example, and what it shows; those with a task of their own run as that task does. */
const EXAMPLES: Readonly<Record<string, string>> = {
  minimal: "two members: one sets a value, the other reads it",
  watch: "one member counts, the other watches",
  members: "three members meet, one leaves",
  demo: "five members as five processes: join, agree, crash, leave",
  node: "one member from a YAML file and flags, for several terminals",
  presence: "a presence list for several terminals, which remembers its peers",
  embed: "members inside a service's own Deno.serve, with a page",
  dashboard: "five members, and a page that shows them live",
  browser: "a service whose pages are members",
  consensus: "members that act only once all agree",
  shards: "a job runner whose twelve shards move when a member dies",
  rate_limiter: "members that limit requests together, for several terminals",
  service: "a service as it is deployed: keys, TLS, readiness",
  protoactor: "a member of protoactor-go and one of Hearsay; needs Go",
};

const ROOT = new URL("..", import.meta.url);
const [name, ...args] = Deno.args;
if (name === undefined) {
  console.log("deno task examples <name>\n");
  const width = Math.max(...Object.keys(EXAMPLES).map((each) => each.length));
  for (const [each, shows] of Object.entries(EXAMPLES)) console.log(`  ${each.padEnd(width)}  ${shows}`);
} else if (!Object.hasOwn(EXAMPLES, name)) {
  console.error(`There is no example ${JSON.stringify(name)}. deno task examples lists them.`);
  Deno.exitCode = 2;
} else {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const command = Object.hasOwn(tasks, name)
    ? ["task", name]
    : ["run", "--allow-net=127.0.0.1", `examples/${name}.ts`];
  const child = new Deno.Command(Deno.execPath(), { args: [...command, ...args], cwd: ROOT }).spawn();
  // The child receives the terminal's own signal; this process only waits for it.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.exitCode = (await child.status).code;
}
