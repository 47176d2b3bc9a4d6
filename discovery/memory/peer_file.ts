/**
 * The file of a memory. Only one process uses it at a time, and a reader never sees a part of a text.
 *
 * @module
 */

import { HearsayError } from "../../common/errors.ts";
import { assertMayRead, assertMayWrite } from "../../common/permission.ts";

/**
 * The largest file that is read or written, in bytes. 256 KiB: 64 peers with the longest ids, hosts and URLs. Higher: a
 * wrong path, such as the path of a log, costs more memory.
 */
export const MAX_FILE_BYTES = 262_144;

/** An open file, locked for this process. */
export class PeerFile {
  readonly #path: string;
  readonly #lock: Deno.FsFile;

  private constructor(path: string, lock: Deno.FsFile) {
    this.#path = path;
    this.#lock = lock;
  }

  /**
   * Locks the file by another file beside it, `<path>.lock`. The system frees the lock when the process ends in any
   * way. Creates the folder if it does not exist.
   *
   * @throws {HearsayError} with code `busy` if another process uses the file.
   * @throws {Deno.errors.NotCapable} if a permission is missing. There is no prompt for it.
   */
  static async open(path: string): Promise<PeerFile> {
    const folder = folderOf(path);
    assertMayRead(folder);
    assertMayWrite(folder);
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const lock = await Deno.open(`${path}.lock`, { write: true, create: true, mode: 0o600 });
    if (await lock.tryLock(true)) return new PeerFile(path, lock);
    lock.close();
    throw new HearsayError(
      "busy",
      "The file must be used by one process at a time; another one uses it. This member has a new id and remembers " +
        "nothing. Give each process a file of its own.",
    );
  }

  /**
   * Reads the text; `undefined` if there is no file, or if it is empty.
   *
   * @throws {HearsayError} if the file is too large, no plain file, or other users may write it.
   */
  async read(): Promise<string | undefined> {
    // Checked before the file is opened, because opening a pipe would wait for a writer.
    const found = await Deno.stat(this.#path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    });
    if (found === undefined) return undefined;
    if (!found.isFile) throw unusable("be a plain file", "it is none");
    // Another user could lead this member to any address. Windows has no modes.
    if (((found.mode ?? 0) & 0o022) !== 0) {
      const mode = (found.mode! & 0o777).toString(8);
      throw unusable("be writable by its owner alone (mode 600)", `it has mode ${mode}`);
    }
    const bytes = await readAtMost(this.#path, MAX_FILE_BYTES + 1);
    if (bytes.length > MAX_FILE_BYTES) {
      throw unusable(`have at most ${MAX_FILE_BYTES} bytes`, "it has more", "too_large");
    }
    if (bytes.length === 0) return undefined;
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw unusable("have text in UTF-8", "it has other bytes", "invalid_value", { cause });
    }
  }

  /**
   * Replaces the whole text at once, readable only by the owner. After a crash the file has the former text or the new
   * text.
   */
  async write(text: string): Promise<void> {
    const path = `${this.#path}.new`;
    // A process that was killed during a write leaves a file behind. A new file also avoids a link that another user
    // made.
    await removeIfThere(path);
    {
      using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
      await writeAll(file, new TextEncoder().encode(text));
      // Without `sync`, a machine that loses power could keep the new name with an empty file.
      await file.sync();
    }
    await Deno.rename(path, this.#path);
  }

  /** Frees the file for another process. */
  close(): void {
    this.#lock.close();
  }
}

/** An error about a file that is left as it is. */
export function unusable(
  must: string,
  given: string,
  code: "invalid_value" | "too_large" = "invalid_value",
  options: ErrorOptions = {},
): HearsayError {
  const text =
    `The file must ${must}; ${given}. It is neither used nor changed. Remove it, or give another path.`;
  return new HearsayError(code, text, options);
}

function folderOf(path: string): string {
  return path.replace(/[^/\\]*$/, "") || ".";
}

async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

async function readAtMost(path: string, most: number): Promise<Uint8Array> {
  using file = await Deno.open(path, { read: true });
  const bytes = new Uint8Array(most);
  let length = 0;
  while (length < most) {
    const count = await file.read(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}
