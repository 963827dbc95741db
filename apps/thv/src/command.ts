import type { Container } from './container.ts'
import type { Output } from './output/output.ts'

/** One flag of a command, as data: help text and completion come from the same place. */
export interface OptionSpec {
  /** As commander writes it: `-f, --follow` or `--format <format>`. */
  flags: string
  summary: string
  /** Allowed values, checked before the handler runs and offered by completion. */
  choices?: readonly string[]
  default?: string
  /** May be given several times; the handler gets a list. */
  repeat?: boolean
  /** What completion offers for the value. */
  completes?: Completion
}

/** What completion can look up. */
export type Completion = 'workloads' | 'files' | 'groups' | 'secrets'

/** One positional argument. */
export interface ArgumentSpec {
  /** `<name>` required, `[name]` optional, `[names...]` many. */
  name: string
  summary: string
  /** Words that completion offers. */
  choices?: readonly string[]
  completes?: Completion
}

/** A command: data, and a handler that is loaded only when the command runs. */
export interface CommandSpec {
  name: string
  aliases?: readonly string[]
  summary: string
  arguments?: readonly ArgumentSpec[]
  options?: readonly OptionSpec[]
  examples?: readonly string[]
  /** Everything after `--` goes to the handler untouched. */
  passThrough?: boolean
  /** Not in help or completion. */
  hidden?: boolean
  load?: () => Promise<CommandHandler>
  subcommands?: readonly CommandSpec[]
}

/** What a handler gets. */
export interface CommandInput {
  args: string[]
  options: Record<string, unknown>
  /** Raw arguments after `--`; undefined when there was no `--`. */
  rest: string[] | undefined
}

/** What a handler may use. */
export interface CommandContext {
  container: Container
  output: Output
  /** Aborts on the first SIGINT, SIGTERM or SIGHUP. */
  signal: AbortSignal
  debug: boolean
}

/** Runs a command; resolves to its exit code (0 when undefined). */
export type CommandHandler = (context: CommandContext, input: CommandInput) => Promise<number | void>
