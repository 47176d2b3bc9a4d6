/**
 * `hearsay doctor`: why is this member alone?
 *
 * @module
 */

import { bracketed } from "../../common/host_names.ts";
import type { Explanation } from "../../contracts/explanation.ts";
import { printable } from "../../common/printable.ts";
import { configure } from "../../options/configuration.ts";
import type { ObserveOptions } from "../../observer/client.ts";
import type { Facts } from "../../observer/protocol.ts";
import { type AddressOptions, examine } from "../doctor/address_steps.ts";
import { causeOf, examineOthers, judgeSplit, OTHERS, type Running } from "../doctor/cluster_steps.ts";
import { type Diagnosis, fail, type Fault, FAULTS, note } from "../doctor/findings.ts";
import { judgeAsSeen, judgeRoom, judgeSelf, judgeSettings } from "../doctor/member_steps.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { allMembers } from "./members.ts";
import { type MemberFlags, type MemberSettings, memberSettingsOf, nameIn } from "../member_settings.ts";
import type { CommonFlags, Context, Run } from "../program.ts";
import type { Screen } from "../screen.ts";
import { authorityIn, keysOf, targetOf } from "../target.ts";

/** The flags of the command. */
export interface DoctorFlags extends CommonFlags, MemberFlags {
  readonly cluster?: string;
  readonly keysFile?: string;
  readonly ca?: string;
}

/** The most seeds that are examined. */
const MAX_SEEDS = 8;

/** Looks for the reason why a member is alone. */
export const doctor: Run<DoctorFlags> = async (context, _, flags) => {
  const { terminal } = context;
  if (flags.token !== undefined) {
    const why = "a token is for one connection, and the doctor makes several, at several members";
    throw new CommandFailure(EXIT.usage, `doctor takes keys and no --token: ${why}. Give --keys-file.`);
  }
  if (flags.at !== undefined && (flags.config !== undefined || flags.seed !== undefined)) {
    const why = "--at examines a member that runs, --config and --seed the seeds of one that need not run";
    throw new CommandFailure(EXIT.usage, `doctor takes --at, or --config and --seed, and not both: ${why}.`);
  }
  const settings = flags.config === undefined && flags.seed === undefined
    ? undefined
    : await memberSettingsOf(flags);
  const diagnoses = settings === undefined
    ? await ofRunning(context, flags)
    : await ofSettings(context, { flags, settings });
  terminal.signal.throwIfAborted();
  // The fault of the asked member comes first, even if another diagnosis has more steps.
  const own = settings === undefined ? diagnoses[0]?.fault : undefined;
  const fault = own ?? farthest(diagnoses.filter((each) => each.fault))?.fault;
  return report(context, { diagnoses, fault });
};

/** Examines the member at `--at` and the other members; if it is alone or isolated, its failed seeds too. */
async function ofRunning(context: Context, flags: DoctorFlags): Promise<Diagnosis[]> {
  const { terminal } = context;
  const { address, options } = await targetOf({ ...flags, token: "" }, terminal);
  const addressOptions = { terminal, options, signal: terminal.signal };
  const { diagnosis, observer } = await examine(address, addressOptions);
  if (!observer) return [diagnosis];
  await using asked = observer;
  const facts = await asked.ask<Facts>("facts");
  judgeSelf(diagnosis, facts);
  const isAlone = facts.counts.alive + facts.counts.suspected <= 1;
  const failed = isAlone || facts.isolated ? facts.seeds.filter(({ outcome }) => outcome === "failed") : [];
  const inCluster = { ...addressOptions, options: { ...options, cluster: facts.cluster } };
  const [others, seeds] = await Promise.all([
    examineOthers({
      scheme: new URL(address).protocol,
      facts,
      members: await allMembers(asked),
      explain: (memberId) => asked.ask<Explanation>("explain", { memberId }),
    }, inCluster),
    examineAll(failed.slice(0, MAX_SEEDS).map((seed) => seed.address), inCluster),
  ]);
  const cause = causeOf(diagnosis.fault, [others?.fault, farthest(seeds)?.fault]);
  if (cause) diagnosis.fault = cause;
  return [diagnosis, ...(others ? [others] : []), ...seeds];
}

async function factsOf(
  observer: NonNullable<Awaited<ReturnType<typeof examine>>["observer"]>,
): Promise<Facts> {
  await using ending = observer;
  return await ending.ask<Facts>("facts");
}

/** Examines the seeds of a member that need not run. */
async function ofSettings(
  context: Context,
  { flags, settings }: { readonly flags: DoctorFlags; readonly settings: MemberSettings },
): Promise<Diagnosis[]> {
  const { terminal } = context;
  const keys = await keysOf(settings, terminal, { name: nameIn(settings, "keysFile") });
  const { caFile, cluster, clockTolerance, config } = settings;
  const options: ObserveOptions = {
    runtime: terminal.runtime,
    path: flags.path ?? config.gossipActorName ?? "gossip",
    cluster,
    ...(keys && { keys }),
    ...(caFile !== undefined && { caCerts: [await authorityIn(caFile, nameIn(settings, "caFile"))] }),
  };
  const addressOptions: AddressOptions = {
    terminal,
    options,
    signal: terminal.signal,
    ...(clockTolerance !== undefined && { clockTolerance }),
  };
  const examined = await examineOwn(settings, addressOptions);
  const own = examined?.diagnosis;
  if (settings.seeds.length === 0) {
    const without: Diagnosis = { subject: "seeds", steps: [] };
    if (own && examined.isAsked && own.fault === undefined) return [own];
    fail(without, "seeds", {
      code: "alone",
      seen: "The member has no seeds.",
      todo: "Give it the address of another member: `seeds:` in the file, or --seed <address>.",
    });
    return examined?.isAsked === false ? [without, examined.diagnosis] : [without];
  }
  await using running = new RunningMembers();
  const seeds = await examineAll(settings.seeds.slice(0, MAX_SEEDS), addressOptions, { settings, running });
  const reached = seeds.find(({ fault }) => fault === undefined);
  if (!reached) return [...seeds, ...own ? [own] : []];
  // One reachable seed is enough: the faults of other seeds become notes.
  for (const seed of seeds) if (seed !== reached) excuse(seed);
  // The seeds answered in any order, so they are sorted as given.
  await judgeSplit(seeds.flatMap((seed) => running.all.find(({ diagnosis }) => diagnosis === seed) ?? []));
  return own ? [own, ...seeds] : seeds;
}

/** The diagnosis of the member itself, if it runs; `undefined` if it does not. */
async function examineOwn(
  settings: MemberSettings,
  options: AddressOptions,
): Promise<{ readonly diagnosis: Diagnosis; readonly isAsked: boolean } | undefined> {
  const { hostname, port, config, tlsCertFile, advertise } = settings;
  if (port === 0) return undefined;
  const host = /^(0\.0\.0\.0|::)$/.test(hostname) ? "127.0.0.1" : hostname;
  const scheme = tlsCertFile === undefined ? "ws" : "wss";
  const path = config.gossipActorName ?? "gossip";
  const local = await examine(`${scheme}://${bracketed(host)}:${port}/${path}`, options);
  const isUntrusted = local.diagnosis.fault?.code === "tls";
  // A certificate is often for the advertised name alone.
  const named = isUntrusted && advertise !== undefined
    ? await examine(advertise.includes("://") ? advertise : `${scheme}://${advertise}/${path}`, options)
    : undefined;
  const { diagnosis, observer } = named?.observer ? named : local;
  if (observer) {
    judgeSelf(diagnosis, await factsOf(observer));
    return { diagnosis, isAsked: true };
  }
  if (!isUntrusted) return undefined;
  // Members dial its other address, so this certificate need not be at fault.
  excuse(diagnosis);
  return { diagnosis, isAsked: false };
}

/** The members that answered, until their connections are closed. */
class RunningMembers implements AsyncDisposable {
  readonly all: Running[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { observer } of this.all) await observer[Symbol.asyncDispose]();
  }
}

/** Examines addresses. With settings, it checks them for a member with these settings, which need not run. */
async function examineAll(
  addresses: readonly string[],
  options: AddressOptions,
  own?: { readonly settings: MemberSettings; readonly running: RunningMembers },
): Promise<Diagnosis[]> {
  return await Promise.all(addresses.map(async (address) => {
    const { diagnosis, observer } = await examine(address, options);
    if (!observer) return diagnosis;
    if (!own) {
      await observer[Symbol.asyncDispose]();
      return diagnosis;
    }
    const facts = await observer.ask<Facts>("facts");
    own.running.all.push({ diagnosis, facts, observer });
    judgeSettings(diagnosis, configure(own.settings.config), facts);
    const { id } = own.settings;
    if (id !== undefined && id !== facts.self) {
      const explanation = await observer.ask<Explanation>("explain", { memberId: id });
      if (explanation.status === "unknown") judgeRoom(diagnosis, facts);
      judgeAsSeen(diagnosis, { id, explanation, facts });
    } else {
      judgeRoom(diagnosis, facts);
    }
    return diagnosis;
  }));
}

/** The diagnosis with the most steps: its fault is the most specific. */
function farthest(diagnoses: readonly Diagnosis[]): Diagnosis | undefined {
  return diagnoses.toSorted((one, other) => other.steps.length - one.steps.length)[0];
}

/** Makes the fault of a diagnosis a note. */
function excuse(diagnosis: Diagnosis): void {
  const { fault, steps } = diagnosis;
  if (!fault) return;
  delete diagnosis.fault;
  const last = steps.findIndex(({ outcome }) => outcome === "fault");
  steps[last] = note(steps[last]!.name, fault.seen, fault.todo);
}

/** The longest text of a step, in UTF-16 units. */
const MAX_SHOWN = 4_000;
/** The indentation of the texts of steps. */
const INDENT = " ".repeat(18);

const MARKS = { ok: ["ok", "good"], note: ["!!", "warn"], fault: ["no", "bad"] } as const;

/** Prints the fault first, then every step. */
function report(
  { screen }: Context,
  { diagnoses, fault }: { readonly diagnoses: readonly Diagnosis[]; readonly fault: Fault | undefined },
): ExitCode {
  const code = fault ? EXIT.fault : EXIT.ok;
  if (screen.isJson) {
    screen.json({
      fault: fault
        ? { code: fault.code, seen: fault.seen, todo: fault.todo, title: FAULTS[fault.code] }
        : null,
      diagnoses: diagnoses.map(({ subject, steps, fault: own }) => ({
        subject,
        steps,
        fault: own?.code ?? null,
      })),
    });
    return code;
  }
  if (fault) {
    const lines = screen.wrapped(`Fault: ${FAULTS[fault.code]}. ${shown(fault.seen)}`);
    screen.lines(lines.map((line) => screen.paint(line, "bad")));
    screen.paragraph(`Do: ${shown(fault.todo)}`);
  } else {
    screen.paragraph(screen.paint(`No fault found. ${shown(wellOf(diagnoses))}`.trim(), "good"));
    const notes = diagnoses.flatMap(({ steps }) => steps).filter(({ outcome }) => outcome === "note").length;
    if (notes > 0) screen.paragraph(screen.paint(`To look at: ${notes}, marked with !! below.`, "warn"));
  }
  for (const diagnosis of diagnoses) print(screen, diagnosis);
  return code;
}

/** The sentence for a diagnosis without a fault. */
function wellOf(diagnoses: readonly Diagnosis[]): string {
  const own = diagnoses.filter(({ subject }) => subject !== OTHERS);
  const last = own.flatMap(({ steps }) => steps).findLast(({ name, outcome }) =>
    (name === "member" || name === "limits") && outcome === "ok"
  );
  return last?.seen ?? "";
}

function print(screen: Screen, { subject, steps }: Diagnosis): void {
  screen.line();
  screen.line(screen.paint(printable(subject, 200), "bold"));
  for (const { name, outcome, seen, todo } of steps) {
    const [mark, tone] = MARKS[outcome];
    const [first = "", ...rest] = screen.wrapped(shown(seen), INDENT);
    screen.line(`  ${screen.paint(mark, tone)}  ${name.padEnd(11)} ${first.trimStart()}`);
    screen.lines(rest);
    if (todo === undefined || outcome === "ok") continue;
    screen.lines(screen.wrapped(`-> ${shown(todo)}`, INDENT).map((line) => screen.paint(line, "dim")));
  }
}

/** A text that may contain parts from a member or a server, made printable. */
function shown(text: string): string {
  return printable(text, MAX_SHOWN);
}
