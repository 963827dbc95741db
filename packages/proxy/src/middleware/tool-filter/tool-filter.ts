import type { Middleware, Passage } from '../../middleware.ts'
import type { WireError } from '../../errors.ts'
import { isRecord, spliceMessage, type Message } from '../../mcp/message.ts'
import { findOnlyMember } from '../../mcp/only-member.ts'
import { rewriteToolList } from './rewrite-tool-list.ts'
import { ToolNames, type ToolRules } from './tool-names.ts'

/**
 * Shows clients some of the tools, under other names and descriptions if so told,
 * and lets them call exactly what they are shown.
 * @throws TypeError when two tools would get the same name
 */
export function createToolFilter(rules: ToolRules): Middleware {
  const names = new ToolNames(rules)
  return {
    name: 'tool-filter',
    fromClient: (message) => passCall(names, message),
    answers: new Set(['tools/list']),
    fromServer: (text, { method }) => {
      // Most of what comes on a stream is something else; parsing all of it would cost too much.
      if (method === '' && !text.includes('"tools"')) return text
      return rewriteToolList(text, names)
    },
  }
}

function passCall(names: ToolNames, message: Message): Passage {
  if (message.method !== 'tools/call') return { message }
  const params = message.value['params']
  // Some servers take parameters by position, or a list for its only element: to them that is a name too.
  if (!isRecord(params)) return { refused: unknownTool }
  const span = findOnlyMember(params, { text: message.text, at: message.paramsStart }, 'name')
  if (span === 'ambiguous') return { refused: ambiguousName }
  const name = params['name']
  if (span === undefined || typeof name !== 'string') return { refused: unknownTool }
  const original = names.originalOf(name)
  if (original === undefined) return { refused: unknownTool }
  if (original === name) return { message }
  return { message: spliceMessage(message, [{ ...span, text: JSON.stringify(original) }]) }
}

const unknownTool: WireError = { name: 'tool-unknown', message: 'tool not found' }
const ambiguousName: WireError = {
  name: 'invalid-request',
  message: 'Invalid Request: the name of the tool is ambiguous',
}
