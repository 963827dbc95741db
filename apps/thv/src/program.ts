import { Command, CommanderError, Option } from 'commander'
import { ThvError } from '@thv/core'
import type { CommandInput, CommandSpec, OptionSpec } from './command.ts'
import { commands } from './commands/table.ts'

/** The command line, understood: which command, with what. Undefined when help was printed. */
export interface Invocation {
  spec: CommandSpec
  input: CommandInput
  debug: boolean
}

/**
 * Parses the arguments after `thv`. Throws `invalid-argument` for unknown commands
 * and flags: a flag that is not known is never ignored.
 */
export function parseInvocation(argv: readonly string[], write: (text: string) => void): Invocation | undefined {
  const dashes = argv.indexOf('--')
  const own = dashes < 0 ? [...argv] : argv.slice(0, dashes)
  const rest = dashes < 0 ? undefined : argv.slice(dashes + 1)
  let found: Omit<Invocation, 'debug'> | undefined
  const withheld: string[] = []
  const streams = { writeOut: write, writeErr: (text: string) => void withheld.push(text) }
  const program = newCommand('thv', streams)
    .description('Runs MCP servers behind a supervised proxy, and tells the truth about them.')
    .helpCommand('help [command]', 'show help for a command')
  const choose = (spec: CommandSpec, input: CommandInput): void => {
    found = { spec, input }
  }
  for (const spec of commands)
    program.addCommand(register(spec, { streams, choose, rest }), { hidden: spec.hidden === true })
  try {
    program.parse(own.map(settleSwitch), { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Help that was asked for exits with 0; help shown for want of a command is still help.
    if (error.exitCode === 0) return undefined
    if (error.code === 'commander.help') {
      write(withheld.join(''))
      return undefined
    }
    throw new ThvError('invalid-argument', error.message.replace(/^error: /, ''), { hint: helpHint(own), cause: error })
  }
  return found === undefined ? undefined : { ...found, debug: own.includes('--debug') }
}

/** Where commander writes; errors are withheld because we word them ourselves. */
interface Streams {
  writeOut: (text: string) => void
  writeErr: (text: string) => void
}

interface Registration {
  streams: Streams
  choose: (spec: CommandSpec, input: CommandInput) => void
  rest: string[] | undefined
}

function register(spec: CommandSpec, registration: Registration): Command {
  const command = newCommand(spec.name, registration.streams).description(spec.summary)
  for (const alias of spec.aliases ?? []) command.alias(alias)
  for (const argument of spec.arguments ?? []) command.argument(argument.name, argument.summary)
  for (const option of spec.options ?? []) command.addOption(buildOption(option))
  if (spec.passThrough === true && spec.hidden !== true) command.usage(`${command.usage()} [-- arguments...]`)
  if (spec.examples !== undefined)
    command.addHelpText('after', `\nExamples:\n${spec.examples.map((line) => `  ${line}`).join('\n')}`)
  for (const child of spec.subcommands ?? []) command.addCommand(register(child, registration))
  if (spec.load !== undefined) {
    command.action(() => {
      const args = command.args.map(String)
      if (spec.passThrough === true) {
        registration.choose(spec, { args, options: command.opts(), rest: registration.rest })
      } else {
        // Other commands know no server arguments: a name may follow the dashes.
        registration.choose(spec, {
          args: [...args, ...(registration.rest ?? [])],
          options: command.opts(),
          rest: undefined,
        })
      }
    })
  }
  return command
}

function newCommand(name: string, streams: Streams): Command {
  return new Command(name)
    .exitOverride()
    .configureOutput(streams)
    .addOption(new Option('--debug', 'log more, and show where errors come from'))
    .showSuggestionAfterError()
    .helpOption('-h, --help', 'show help')
}

function buildOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.summary)
  if (spec.choices !== undefined) option.choices(spec.choices)
  if (spec.default !== undefined) option.default(spec.default)
  if (spec.repeat === true) {
    option.argParser((value: string, previous: string[] | undefined) => [...(previous ?? []), value])
  }
  return option
}

const switches = new Set(
  commands.flatMap(({ options = [] }) => options.flatMap(({ flags }) => /^(--[\w-]+) \[/.exec(flags)?.[1] ?? [])),
)

/** A flag with an optional value takes it behind `=` only: the next word is something else. */
function settleSwitch(word: string): string {
  return switches.has(word) ? `${word}=true` : word
}

function helpHint(argv: readonly string[]): string {
  const known = commands.find((spec) => spec.name === argv[0] || spec.aliases?.includes(argv[0] ?? '') === true)
  return known === undefined ? "see 'thv --help'" : `see 'thv ${known.name} --help'`
}
