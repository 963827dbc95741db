// A stdio MCP server with two tools, `echo` and `sized`, as quick as plain Node allows, so that what the bench measures
// is the program in front of it. No dependencies: it must start alike for every program under test.

import { sizedText } from './sized-text.mjs'

const PROTOCOL_VERSIONS = ['2025-11-25', '2025-06-18', '2024-11-05']

const ECHO_TOOL = {
  name: 'echo',
  description: 'Returns the message it was given.',
  inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
}

const SIZED_TOOL = {
  name: 'sized',
  description: 'Returns a text of so many characters.',
  inputSchema: { type: 'object', properties: { size: { type: 'number' } }, required: ['size'] },
}

const METHODS = {
  initialize: (params) => ({
    protocolVersion: PROTOCOL_VERSIONS.includes(params?.protocolVersion)
      ? params.protocolVersion
      : PROTOCOL_VERSIONS[0],
    capabilities: { tools: {}, resources: { subscribe: true } },
    serverInfo: { name: 'bench-echo', version: '1.0.0' },
  }),
  ping: () => ({}),
  'tools/list': () => ({ tools: [ECHO_TOOL, SIZED_TOOL] }),
  'tools/call': callTool,
  'resources/subscribe': () => ({}),
  'resources/unsubscribe': () => ({}),
}

let partial = []

process.stdin.on('data', (chunk) => {
  const last = chunk.lastIndexOf(0x0a)
  if (last === -1) {
    partial.push(chunk)
    return
  }
  // Lines are cut on bytes before decoding: a chunk may end inside a character.
  const text = Buffer.concat([...partial, chunk.subarray(0, last)]).toString('utf8')
  partial = last + 1 < chunk.length ? [chunk.subarray(last + 1)] : []
  // One write for all answers of a chunk keeps the system calls of this server out of the comparison.
  const answers = text.split('\n').map(answerLine).join('')
  if (answers !== '') process.stdout.write(answers)
})

// A parent that is gone takes its end of the pipe with it; there is nobody left to tell.
process.stdout.on('error', () => process.exit(0))

function answerLine(line) {
  if (line.trim() === '') return ''
  let message
  try {
    message = JSON.parse(line)
  } catch {
    return failure(null, { code: -32700, message: 'parse error' })
  }
  if (message === null || typeof message !== 'object' || message.id === undefined) return ''
  if (typeof message.method !== 'string') return ''
  if (!Object.hasOwn(METHODS, message.method)) {
    return failure(message.id, { code: -32601, message: `method not found: ${message.method}` })
  }
  const result = METHODS[message.method](message.params)
  if (result === undefined) return failure(message.id, { code: -32602, message: 'invalid params' })
  return `${JSON.stringify({ jsonrpc: '2.0', id: message.id, result })}\n`
}

function callTool(params) {
  const { message, size } = params?.arguments ?? {}
  if (params?.name === 'sized') return { content: [{ type: 'text', text: sizedText(size) }] }
  if (params?.name !== 'echo' || typeof message !== 'string') return undefined
  return { content: [{ type: 'text', text: message }] }
}

function failure(id, error) {
  return `${JSON.stringify({ jsonrpc: '2.0', id, error })}\n`
}
