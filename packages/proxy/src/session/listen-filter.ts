import { isRecord } from '../mcp/message.ts'
import { listNames, type ListName } from './missed-changes.ts'

/** What a `subscriptions/listen` asks to be told. */
export interface ListenFilter {
  readonly lists: readonly ListName[]
  /** Resources whose changes are to be told, each once. */
  readonly uris: readonly string[]
}

/** Reads `params.notifications`; undefined when it is none. Kinds that are not known are left out, as the era has it. */
export function parseListenFilter(value: unknown): ListenFilter | undefined {
  if (!isRecord(value)) return undefined
  const flags = listNames.map((list) => value[flagOf(list)])
  if (flags.some((flag) => flag !== undefined && typeof flag !== 'boolean')) return undefined
  const uris: unknown = value['resourceSubscriptions'] ?? []
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string')) return undefined
  return { lists: listNames.filter((list) => value[flagOf(list)] === true), uris: [...new Set(uris)] }
}

/** The part of a filter that a server with these capabilities can honour. */
export function honourFilter(filter: ListenFilter, capabilities: Readonly<Record<string, unknown>>): ListenFilter {
  return {
    lists: filter.lists.filter((list) => declares(capabilities, list, 'listChanged')),
    uris: declares(capabilities, 'resources', 'subscribe') ? filter.uris : [],
  }
}

/** The JSON text of a filter; `{}` when nothing is asked for. */
export function buildFilterText({ lists, uris }: ListenFilter): string {
  const flags = lists.map((list) => [flagOf(list), true])
  return JSON.stringify({
    ...Object.fromEntries(flags),
    ...(uris.length === 0 ? {} : { resourceSubscriptions: uris }),
  })
}

function flagOf(list: ListName): string {
  return `${list}ListChanged`
}

function declares(capabilities: Readonly<Record<string, unknown>>, group: string, flag: string): boolean {
  const declared = capabilities[group]
  return isRecord(declared) && declared[flag] === true
}
