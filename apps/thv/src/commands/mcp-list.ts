import { ThvError } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { anyResult } from '../mcp-any-result.ts'
import { withMcpSession, type McpSession } from '../mcp-client.ts'
import { textOption } from '../options.ts'
import { printable } from '../output/style.ts'
import { renderTable } from '../output/table.ts'

const kinds = ['tools', 'resources', 'prompts'] as const
type Kind = (typeof kinds)[number]
/** A server that always names a next page would never end. */
const maxPages = 200

type Entry = Record<string, unknown>

/** `thv mcp list [tools|resources|prompts]`. */
export async function mcpListCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const wanted = selectKinds(input.args[0])
  const found = await withMcpSession(context, input, async (session) => {
    const offered = session.client.getServerCapabilities() ?? {}
    const lists: Partial<Record<Kind, Entry[]>> = {}
    for (const kind of wanted) lists[kind] = kind in offered ? await listAll(session, kind) : []
    return lists
  })
  if (textOption(input, 'format') === 'json') {
    context.output.json(found)
    return
  }
  for (const kind of wanted) {
    context.output.line(`${kind.toUpperCase()}:`)
    context.output.line(await renderEntries(kind, found[kind] ?? []))
  }
}

function selectKinds(word: string | undefined): readonly Kind[] {
  if (word === undefined) return kinds
  const kind = kinds.find((known) => known === word)
  if (kind !== undefined) return [kind]
  throw new ThvError('invalid-argument', `'${word}' is not something to list`, {
    hint: 'write tools, resources or prompts',
  })
}

/** All pages, entries as the server sent them: the SDK's typed results would drop what it does not know. */
async function listAll(session: McpSession, kind: Kind): Promise<Entry[]> {
  const entries: Entry[] = []
  let cursor: string | undefined
  for (let page = 0; page < maxPages; page += 1) {
    const params = cursor === undefined ? {} : { cursor }
    const result = await session.client.request({ method: `${kind}/list`, params }, anyResult, session.options)
    const list = result[kind]
    if (Array.isArray(list)) entries.push(...list)
    if (typeof result['nextCursor'] !== 'string') return entries
    cursor = result['nextCursor']
  }
  return entries
}

async function renderEntries(kind: Kind, entries: readonly Entry[]): Promise<string> {
  if (entries.length === 0) return `  (no ${kind})`
  const uri = kind === 'resources'
  const rows = entries.map((entry) => [
    cell(entry['name']),
    ...(uri ? [cell(entry['uri']), cell(entry['mimeType'])] : []),
    cell(entry['description']),
  ])
  return await renderTable(uri ? ['NAME', 'URI', 'MIME TYPE', 'DESCRIPTION'] : ['NAME', 'DESCRIPTION'], rows)
}

function cell(value: unknown): string {
  const text = typeof value === 'string' ? value : ''
  const line = printable(text.split('\n', 1)[0] ?? '')
  return line.length > 80 ? `${line.slice(0, 77)}...` : line
}
