import { assertEquals } from "../../deps/std_assert.ts";
import { eventually, Program } from "./program.ts";

/** The status of a request and the number of requests that count. */
async function requested(origin: string, client: string): Promise<[number, number]> {
  const response = await fetch(`${origin}/${client}`);
  const { used } = await response.json();
  return [response.status, used];
}

/** Starts a member; resolves with its origin and its address for others. */
async function limiter(...args: string[]): Promise<readonly [Program, string, string]> {
  const program = await Program.example("rate_limiter", ...args);
  const [, origin = "", address = ""] = await program.until(/^(http:\S+)\/<client> .* (ws:\S+)$/);
  return [program, origin, address];
}

Deno.test("rate limiter example: three processes together answer a client five times, even after one was killed and another started", async () => {
  // A window of three years: it does not end during the test.
  const [one, at, address] = await limiter("--seconds", "100000000");
  const [two, other] = await limiter("--seconds", "100000000", "--seed", address);
  const [three, third] = await limiter("--seconds", "100000000", "--seed", address);
  const programs = [one, two, three];
  try {
    const answers: [number, number][] = [];
    for (let count = 1; count <= 6; count++) answers.push(await requested(third, "ada"));
    assertEquals(answers, [[200, 1], [200, 2], [200, 3], [200, 4], [200, 5], [429, 5]]);
    for (const origin of [at, other]) {
      await eventually("another member refuses too", async () => (await requested(origin, "ada"))[0] === 429);
    }
    three.kill("SIGKILL");
    await three.ended();
    for (const origin of [at, other]) assertEquals((await requested(origin, "ada"))[0], 429);
    assertEquals(await requested(at, "ben"), [200, 1]);
    await eventually(
      "the two that are left count together",
      async () => (await requested(other, "ben"))[1] > 1,
    );
    // A member that has just started waits for the counts of the others, those of the killed member too.
    const [four, fourth] = await limiter("--seconds", "100000000", "--seed", address);
    programs.push(four);
    // The others may have let one more pass each, before they knew of five.
    assertEquals((await requested(fourth, "ada"))[0], 429);
  } finally {
    for (const program of programs) await program[Symbol.asyncDispose]();
  }
});
