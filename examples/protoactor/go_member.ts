/**
 * A member of protoactor-go as a child process, built from `tests/interop/member`.
 *
 * @module
 */

import { TextLineStream } from "../../deps/std_streams.ts";

const MODULE = new URL("../../tests/interop/", import.meta.url);

/** Why no member can be built; nothing where it can. */
export async function whyNoGo(): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command("go", { args: ["version"] }).output();
    return success ? undefined : "`go version` fails";
  } catch {
    return "there is no `go` on the PATH";
  }
}

/** Where a Go member is started. */
export interface GoMemberOptions {
  readonly cluster: string;
  /** The port of its remoting. */
  readonly port: number;
  /** Where all members serve `/_health`, itself first. */
  readonly health: readonly string[];
}

/** A running member of protoactor-go. Disposing of it lets it leave. */
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

  /** Builds the member, starts it, and waits until it runs. */
  static async start({ cluster, port, health }: GoMemberOptions): Promise<GoMember> {
    const folder = await Deno.makeTempDir();
    try {
      const program = `${folder}/member`;
      const build = new Deno.Command("go", { args: ["build", "-o", program, "./member"], cwd: MODULE });
      const { success, stderr } = await build.output();
      if (!success) throw new Error(`The member was not built: ${new TextDecoder().decode(stderr)}`);
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
      if (value === undefined) throw new Error("The member ended at once: are its ports free?");
      return new GoMember(JSON.parse(value).id, { child, input: child.stdin.getWriter(), lines });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Sets a key of the Go member. */
  async set(key: string, value: unknown): Promise<void> {
    await this.#ask({ op: "set", key, value });
  }

  /** What the Go member holds of another under a key. */
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
