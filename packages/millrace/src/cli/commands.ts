/** Every command, loaded when it is asked for: `millrace append` never loads the server. */
import type { Command } from "./command.ts";

export interface CommandEntry {
  summary: string;
  load(): Promise<Command>;
}

export const commands: Record<string, CommandEntry> = {
  serve: {
    summary: "run the server",
    load: async () => (await import("./serve-command.ts")).serveCommand,
  },
  append: {
    summary: "append an event, or a batch of them",
    load: async () => (await import("./append-command.ts")).appendCommand,
  },
  tail: {
    summary: "follow streams live",
    load: async () => (await import("./tail-command.ts")).tailCommand,
  },
  read: {
    summary: "print what is in a stream",
    load: async () => (await import("./read-command.ts")).readCommand,
  },
  state: {
    summary: "print the state of a stream",
    load: async () => (await import("./state-command.ts")).stateCommand,
  },
  streams: {
    summary: "list streams, as a tree",
    load: async () => (await import("./streams-command.ts")).streamsCommand,
  },
  delete: {
    summary: "delete a stream",
    load: async () => (await import("./delete-command.ts")).deleteCommand,
  },
  pause: {
    summary: "stop appends to a stream",
    load: async () => (await import("./pause-command.ts")).pauseCommand,
  },
  resume: {
    summary: "let a paused stream go on, or what halted in it",
    load: async () => (await import("./resume-command.ts")).resumeCommand,
  },
  schedule: {
    summary: "append an event later, once or again and again",
    load: async () => (await import("./schedule-command.ts")).scheduleCommand,
  },
  schedules: {
    summary: "list the schedules of a stream",
    load: async () => (await import("./schedules-command.ts")).schedulesCommand,
  },
  cancel: {
    summary: "end a schedule",
    load: async () => (await import("./cancel-command.ts")).cancelCommand,
  },
  subscribe: {
    summary: "push events to a webhook or another stream",
    load: async () => (await import("./subscribe-command.ts")).subscribeCommand,
  },
  subscriptions: {
    summary: "list the subscriptions of a stream",
    load: async () => (await import("./subscriptions-command.ts")).subscriptionsCommand,
  },
  unsubscribe: {
    summary: "end a subscription",
    load: async () => (await import("./unsubscribe-command.ts")).unsubscribeCommand,
  },
  redeliver: {
    summary: "deliver one event of a subscription again",
    load: async () => (await import("./redeliver-command.ts")).redeliverCommand,
  },
  transform: {
    summary: "rewrite events that match into new ones",
    load: async () => (await import("./transform-command.ts")).transformCommand,
  },
  transformers: {
    summary: "list the transformers of a stream",
    load: async () => (await import("./transformers-command.ts")).transformersCommand,
  },
  untransform: {
    summary: "end a transformer",
    load: async () => (await import("./unsubscribe-command.ts")).untransformCommand,
  },
  why: {
    summary: "show what led to an event, back to its origin",
    load: async () => (await import("./why-command.ts")).whyCommand,
  },
  run: {
    summary: "run a processor from a file, and see what it does",
    load: async () => (await import("./run-command.ts")).runCommand,
  },
  deploy: {
    summary: "let the server run a processor from a file",
    load: async () => (await import("./deploy-command.ts")).deployCommand,
  },
  undeploy: {
    summary: "end a deployed processor",
    load: async () => (await import("./undeploy-command.ts")).undeployCommand,
  },
  processors: {
    summary: "list the deployed processors of a stream",
    load: async () => (await import("./processors-command.ts")).processorsCommand,
  },
  logs: {
    summary: "print what processors said on the server",
    load: async () => (await import("./logs-command.ts")).logsCommand,
  },
  replay: {
    summary: "fold a history with a processor, without effects",
    load: async () => (await import("./replay-command.ts")).replayCommand,
  },
  cursors: {
    summary: "list and delete what the server keeps for processors elsewhere",
    load: async () => (await import("./cursors-command.ts")).cursorsCommand,
  },
  secrets: {
    summary: "set, list and remove what may be sent to named hosts only",
    load: async () => (await import("./secrets-command.ts")).secretsCommand,
  },
  export: {
    summary: "write stored events as NDJSON",
    load: async () => (await import("./export-command.ts")).exportCommand,
  },
  import: {
    summary: "append the events of an export",
    load: async () => (await import("./import-command.ts")).importCommand,
  },
  completion: {
    summary: "print a completion script for bash, zsh or fish",
    load: async () => (await import("./completion-command.ts")).completionCommand,
  },
};
