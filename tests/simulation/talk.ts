/**
 * The messages of members, during the fault phase and the recovery: broadcasts and questions.
 *
 * @module
 */

import { HearsayError } from "../../common/errors.ts";
import { messagesOf } from "../../messages/messages.ts";
import type { HeardMessages, Said } from "./invariants/heard_messages.ts";
import type { Process } from "./process.ts";
import type { Run } from "./run.ts";

const TOPIC = "said";
/** The most characters of padding. 600: with the smallest messages of a run the largest is 1 KiB. */
const MAX_PADDING = 600;
/** Broadcasts at once, now and then: more than the 16 that may be on the way to a peer. */
const BURST = 30;

/** Lets processes talk. Its draws are its own, so that a seed without messages keeps its run. */
export class Talk {
  readonly #run: Run;
  readonly #heard: HeardMessages;
  #isOver = false;

  constructor(run: Run, heard: HeardMessages) {
    this.#run = run;
    this.#heard = heard;
    this.#speakLater();
  }

  /** True if the members of this run talk. */
  get #isOn(): boolean {
    return Number.isFinite(this.#run.scenario.messageEveryMs);
  }

  /** Lets a process that has started take messages. */
  join(process: Process): void {
    if (!this.#isOn) return;
    const messages = messagesOf(process.gossiper);
    messages.onMessage<Said>(TOPIC, ({ payload, memberId }) => {
      if (process.isOver) return;
      this.#run.record.count("message heard");
      this.#heard.hear(process, payload, memberId);
    });
    messages.answer(TOPIC, () => process.id);
  }

  /** Ends the talk. */
  end(): void {
    this.#isOver = true;
  }

  /** Without faults, whatever a member has sent is heard. */
  async checkDelivery(): Promise<void> {
    const { scenario, processes, timeline, record, random: { messages: random } } = this.#run;
    const { maxConnections, gossipRequestTimeout } = scenario.config;
    const speaker = processes.draw(random, ({ isRunning }) => isRunning);
    // With fewer connections than members, one may be closed while a message is on the way.
    if (!this.#isOn || !speaker || processes.alive.length > maxConnections) return;
    // Connections that broke without notice during the faults end with the first message.
    this.#broadcast(speaker);
    await timeline.pass(8 * gossipRequestTimeout);
    if (speaker.isOver) return;
    const said = this.#heard.say(speaker);
    let sent: readonly string[] | undefined;
    void messagesOf(speaker.gossiper).broadcast(TOPIC, said).then((result) => {
      sent = result.sent;
    });
    await timeline.pass(8 * gossipRequestTimeout);
    if (!sent) return record.fail(speaker, "its broadcast did not end in time");
    for (const id of sent) {
      const process = processes.aliveWith(id);
      if (process && !this.#heard.hasHeard(process, said.n)) {
        record.fail(speaker, `${id} did not hear its message ${said.n}, which was sent`);
      }
    }
  }

  #speakLater(): void {
    const { scenario, timeline, random: { messages: random } } = this.#run;
    if (!this.#isOn) return;
    timeline.later(random.wait(scenario.messageEveryMs), () => {
      if (this.#isOver) return;
      this.#speak();
      this.#speakLater();
    });
  }

  #speak(): void {
    const { processes, random: { messages: random } } = this.#run;
    const process = processes.draw(random, ({ isRunning, machine }) => isRunning && !machine.isFrozen);
    if (!process) return;
    const how = random.weighted([[6, "broadcast"], [1, "burst"], [2, "ask"]] as const);
    if (how === "ask") return this.#ask(process);
    for (let count = how === "burst" ? BURST : 1; count > 0; count--) this.#broadcast(process);
  }

  #broadcast(process: Process): void {
    const { record, random: { messages: random } } = this.#run;
    const said = { ...this.#heard.say(process), padding: "x".repeat(random.whole(0, MAX_PADDING)) };
    messagesOf(process.gossiper).broadcast(TOPIC, said, { includeSelf: random.chance(0.1) }).then(
      ({ skipped }) => {
        for (const { reason } of skipped) record.count(`message ${reason}`);
      },
    ).catch((error) => this.#onFailed(process, error));
  }

  #ask(process: Process): void {
    const { record, random: { messages: random } } = this.#run;
    messagesOf(process.gossiper).ask("all", { topic: TOPIC }, { includeSelf: random.chance(0.1) }).then(
      ({ answers }) => {
        if (process.isOver) return;
        for (const _ of answers) record.count("answer");
        this.#heard.checkAnswers(process, answers);
      },
    ).catch((error) => this.#onFailed(process, error));
  }

  /** A member that leaves, or that has withdrawn, sends nothing; nor does one with many calls under way. */
  #onFailed(process: Process, error: unknown): void {
    if (error instanceof HearsayError && ["stopped", "blocked", "busy"].includes(error.code)) return;
    this.#run.record.fail(process, `a message failed: ${(error as Error)?.stack ?? error}`);
  }
}
