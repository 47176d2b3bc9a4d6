/**
 * Certificates generated for a test, if the machine has openssl.
 *
 * @module
 */

import { reasonWithout } from "./etcd_server.ts";

/** The reason why none can be made; `undefined` if they can. */
export const withoutOpenssl: string | undefined = await reasonWithout("openssl", {
  args: ["version"],
  package: "openssl",
});

/** An authority, and a certificate for 127.0.0.1 that it signed, as PEM. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes a new authority and one certificate. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await Deno.makeTempDir({ prefix: "certificates_" });
  try {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await openssl(
      folder,
      "req",
      "-x509",
      ...key,
      "-keyout",
      "ca.key",
      "-out",
      "ca.crt",
      "-subj",
      "/CN=an authority",
    );
    await openssl(folder, "req", ...key, "-keyout", "one.key", "-out", "one.csr", "-subj", "/CN=a server");
    await Deno.writeTextFile(`${folder}/names`, "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
    const signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"];
    await openssl(folder, "x509", "-req", "-in", "one.csr", "-out", "one.crt", ...signing);
    const read = (name: string) => Deno.readTextFile(`${folder}/${name}`);
    return { ca: await read("ca.crt"), cert: await read("one.crt"), key: await read("one.key") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function openssl(cwd: string, ...args: readonly string[]): Promise<void> {
  const command = new Deno.Command("openssl", { args: [...args], cwd, stdout: "null", stderr: "piped" });
  const { success, stderr } = await command.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
