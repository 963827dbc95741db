// The baseline: the echo tool answered by node:http itself, with no proxy and no child. Its figures say what Node and
// the load generator cost, and are the unit of the ratios. Also the HTTP server behind the forwarders.
// Usage: node bare-server.mjs <port>; without a port the one that thv hands its servers.

import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { sizedText } from './sized-text.mjs'

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n')
    return
  }
  if (request.method !== 'POST') {
    response.writeHead(200).end()
    return
  }
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    const message = parse(Buffer.concat(chunks))
    if (message === undefined) response.writeHead(400).end()
    else answer(message, response)
  })
})

const EMPTY_METHODS = new Set(['ping', 'resources/subscribe', 'resources/unsubscribe'])

server.listen(Number(process.argv[2] ?? process.env.MCP_PORT), '127.0.0.1')

function answer(message, response) {
  if (message.id === undefined) {
    response.writeHead(202).end()
    return
  }
  const headers = { 'content-type': 'application/json' }
  let result = EMPTY_METHODS.has(message.method) ? {} : undefined
  if (message.method === 'tools/call') {
    const { name, arguments: given } = message.params
    result = { content: [{ type: 'text', text: name === 'sized' ? sizedText(given.size) : given.message }] }
  } else if (message.method === 'initialize') {
    headers['mcp-session-id'] = randomUUID()
    result = {
      protocolVersion: message.params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'bench-bare', version: '1.0.0' },
    }
  }
  const error = result === undefined ? { code: -32601, message: 'method not found' } : undefined
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: message.id, result, error }))
  headers['content-length'] = body.length
  response.writeHead(200, headers).end(body)
}

function parse(bytes) {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
