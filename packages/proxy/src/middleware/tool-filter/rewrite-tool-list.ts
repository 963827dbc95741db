import { isRecord } from '../../mcp/message.ts'
import { applySplices, findValue, scanMembers, sliceElements, type Splice } from '../../mcp/raw-message.ts'
import type { ToolNames } from './tool-names.ts'

/**
 * The answer to `tools/list` as clients see it. Tools are taken out, names and
 * descriptions replaced; every other character stays, `nextCursor` and `_meta`
 * among them. What is no list of tools comes back as it is.
 */
export function rewriteToolList(text: string, names: ToolNames): string {
  const tools = toolsOf(text)
  const span = findValue(text, text.indexOf('{'), ['result', 'tools'])
  if (tools === undefined || span === undefined) return text
  const pieces = sliceElements(text, span.start)
  const kept = pieces.flatMap((piece, index) => rewriteTool(piece, tools[index], names) ?? [])
  if (kept.length === pieces.length && kept.every((piece, index) => piece === pieces[index])) return text
  return applySplices(text, [{ ...span, text: `[${kept.join(',')}]` }])
}

function toolsOf(text: string): unknown[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const result = isRecord(value) ? value['result'] : undefined
  const tools = isRecord(result) ? result['tools'] : undefined
  return Array.isArray(tools) ? tools : undefined
}

/** One tool as clients see it; undefined when they do not. */
function rewriteTool(piece: string, tool: unknown, names: ToolNames): string | undefined {
  // What has no name cannot be called, so nothing is given away.
  if (!isRecord(tool) || typeof tool['name'] !== 'string') return piece
  const original = tool['name']
  const visible = names.visibleOf(original)
  if (visible === undefined) return undefined
  const description = names.descriptionOf(original)
  const splices: Splice[] = []
  scanMembers(piece, 0, (key, start, end) => {
    // All of them, should a key be there twice: clients differ in which one they take.
    if (key === 'name' && visible !== original) splices.push({ start, end, text: JSON.stringify(visible) })
    if (key === 'description' && description !== undefined) {
      splices.push({ start, end, text: JSON.stringify(description) })
    }
  })
  if (description !== undefined && !Object.hasOwn(tool, 'description')) {
    splices.push({ start: 1, end: 1, text: `"description":${JSON.stringify(description)},` })
  }
  return applySplices(piece, splices)
}
