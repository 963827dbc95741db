import { listSecrets, listWorkloads } from '@thv/core'
import type { CommandContext, CommandInput, CommandSpec, Completion, OptionSpec } from '../command.ts'
import { commands } from './table.ts'

interface Candidate {
  word: string
  summary: string
}

/** Every command has them. */
const globalOptions: readonly OptionSpec[] = [
  { flags: '--debug', summary: 'log more, and show where errors come from' },
  { flags: '-h, --help', summary: 'show help' },
]

/** `thv __complete -- WORDS…`: one candidate per line, tab, summary; `:files` asks the shell for file names. */
export async function completeCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const words = input.rest ?? []
  for (const { word, summary } of await candidatesFor(context, words)) context.output.line(`${word}\t${summary}`)
}

async function candidatesFor(context: CommandContext, words: readonly string[]): Promise<Candidate[]> {
  const last = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  if (before.includes('--')) return [{ word: ':files', summary: '' }]
  const { spec, rest } = descend(before)
  const options = spec?.options ?? []
  const pending = optionOf(options, before.at(-1) ?? '')
  if (pending !== undefined && takesValue(pending)) return await valuesOf(context, pending, last)
  if (last.startsWith('-')) return matching([...options, ...globalOptions].flatMap(flagCandidates), last)
  const children = spec === undefined ? commands : (spec.subcommands ?? [])
  if (children.length > 0) {
    return matching(
      children.filter((child) => child.hidden !== true).map(({ name, summary }) => ({ word: name, summary })),
      last,
    )
  }
  const position = rest.filter((word) => !word.startsWith('-')).length
  const declared = spec?.arguments ?? []
  const argument = declared[position] ?? (declared.at(-1)?.name.includes('...') === true ? declared.at(-1) : undefined)
  if (argument?.choices !== undefined) return matching(argument.choices.map(plain), last)
  return argument?.completes === undefined ? [] : await lookUp(context, argument.completes, last)
}

/** The command that the words before the cursor name, and what follows its name. */
function descend(words: readonly string[]): { spec: CommandSpec | undefined; rest: readonly string[] } {
  let spec: CommandSpec | undefined
  let known: readonly CommandSpec[] = commands
  let index = 0
  for (const word of words) {
    index += 1
    if (word.startsWith('-')) continue
    const found = known.find((candidate) => candidate.name === word || candidate.aliases?.includes(word) === true)
    if (found === undefined) return { spec, rest: words.slice(index - 1) }
    spec = found
    known = found.subcommands ?? []
    if (known.length === 0) break
  }
  return { spec, rest: words.slice(index) }
}

function optionOf(options: readonly OptionSpec[], word: string): OptionSpec | undefined {
  return options.find((option) => option.flags.split(/[ ,]+/).includes(word) && word.startsWith('-'))
}

function takesValue(option: OptionSpec): boolean {
  return option.flags.includes('<')
}

async function valuesOf(context: CommandContext, option: OptionSpec, last: string): Promise<Candidate[]> {
  if (option.choices !== undefined) return matching(option.choices.map(plain), last)
  return option.completes === undefined ? [] : await lookUp(context, option.completes, last)
}

async function lookUp(context: CommandContext, what: Completion, last: string): Promise<Candidate[]> {
  if (what === 'secrets') return matching((await secretNames(context)).map(plain), last)
  if (what === 'files') return [{ word: ':files', summary: '' }]
  const { workloads } = await listWorkloads(await context.container.reading(), { all: true })
  if (what === 'workloads')
    return matching(
      workloads.map(({ name, status }) => ({ word: name, summary: status })),
      last,
    )
  const groups = new Set(['default', ...workloads.map((workload) => workload.group ?? 'default')])
  return matching([...groups].map(plain), last)
}

/** None where they cannot be told without a question: completion has nobody to ask. */
async function secretNames({ container, signal }: CommandContext): Promise<string[]> {
  try {
    return await listSecrets((await container.secrets()).secrets, signal)
  } catch {
    return []
  }
}

function plain(word: string): Candidate {
  return { word, summary: '' }
}

function flagCandidates(option: OptionSpec): Candidate[] {
  return option.flags
    .split(/[ ,]+/)
    .filter((word) => word.startsWith('--'))
    .map((word) => ({ word, summary: option.summary }))
}

function matching(candidates: readonly Candidate[], prefix: string): Candidate[] {
  return candidates.filter(({ word }) => word.startsWith(prefix))
}
