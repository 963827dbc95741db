// The baseline: the echo tool answered by node:http itself, with no proxy and no child. Its figures say what Node and
// the load generator cost, and are the unit of the ratios. Also the HTTP server behind the forwarders.
// Usage: node bare-server.mjs <port>; without a port the one that thv hands its servers.

import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { sizedText } from './sized-text.mjs'

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    response.writeHead(request.method === 'DELETE' ? 200 : 405).end()
    return
  }
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => answer(JSON.parse(Buffer.concat(chunks).toString('utf8')), response))
})

server.listen(Number(process.argv[2] ?? process.env.MCP_PORT), '127.0.0.1')

function answer(message, response) {
  if (message.id === undefined) {
    response.writeHead(202).end()
    return
  }
  const headers = { 'content-type': 'application/json' }
  let result = {}
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
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }))
  headers['content-length'] = body.length
  response.writeHead(200, headers).end(body)
}
