/**
 * A member of protoactor-go as a child process, built from `tests/protoactor/member`.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";

const MODULE = new URL("../../tests/protoactor/", import.meta.url);

/** The reason why Go is not usable; `undefined` if it is. */
export async function whyNoGo(): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command("go", { args: ["version"] }).output();
    return success ? undefined : "`go version` fails";
  } catch {
    return "there is no `go` on the PATH";
  }
}

/** Options of a {@linkcode GoMember}. */
export interface GoMemberOptions {
  readonly cluster: string;
  /** The port of its remoting. */
  readonly port: number;
  /** The addresses of all `/_health` servers, its own first. */
  readonly health: readonly string[];
}

/** A running member of protoactor-go. Disposal makes it leave. */
export class GoMember implements AsyncDisposable {
  /** Its id in the cluster. */
  readonly id: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(
    id: string,
    streams: {
      readonly child: Deno.ChildProcess;
      readonly input: WritableStreamDefaultWriter<Uint8Array>;
      readonly lines: ReadableStreamDefaultReader<string>;
    },
  ) {
    this.id = id;
    this.#child = streams.child;
    this.#input = streams.input;
    this.#lines = streams.lines;
  }

  /** Builds and starts the member; resolves when it runs. */
  static async start({ cluster, port, health }: GoMemberOptions): Promise<GoMember> {
    const folder = await Deno.makeTempDir();
    try {
      const program = `${folder}/member`;
      const build = new Deno.Command("go", { args: ["build", "-o", program, "./member"], cwd: MODULE });
      const { success, stderr } = await build.output();
      if (!success) throw new Error(`\`go build\` failed: ${new TextDecoder().decode(stderr)}`);
      const managePort = health[0]!.split(":")[1];
      const args = [
        `-cluster=${cluster}`,
        `-port=${port}`,
        `-manage-port=${managePort}`,
        `-hosts=${health.join()}`,
      ];
      const command = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "null" });
      const child = command.spawn();
      const text = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
      const lines = text.getReader();
      const { value } = await lines.read();
      if (value === undefined) {
        throw new Error("The Go member ended at its start. Check that its ports are free.");
      }
      return new GoMember(JSON.parse(value).id, { child, input: child.stdin.getWriter(), lines });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Sets a key of the Go member. */
  async set(key: string, value: unknown): Promise<void> {
    await this.#ask({ op: "set", key, value });
  }

  /** The value that the Go member has of another member's key. */
  async get(key: string, memberId: string): Promise<unknown> {
    const { state } = await this.#ask({ op: "get", key }) as {
      readonly state: Readonly<Record<string, { readonly value?: unknown }>>;
    };
    return state[memberId]?.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ask({ op: "leave" });
    await this.#input.close();
    await this.#lines.cancel();
    await this.#child.status;
  }

  async #ask(command: object): Promise<unknown> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(command)}\n`));
    const { value } = await this.#lines.read();
    if (value === undefined) throw new Error("The Go member has ended.");
    const answer = JSON.parse(value) as { readonly error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
