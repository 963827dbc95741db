// A client of the revision 2026-07-28 on one raw keep-alive socket: no session, every request says all about itself.

import { assertSized, openConnection } from './mcp-connection.mjs'

const VERSION = '2026-07-28'
const META = JSON.stringify({
  'io.modelcontextprotocol/protocolVersion': VERSION,
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
})
const HEAD =
  'Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n' +
  `MCP-Protocol-Version: ${VERSION}\r\nMcp-Method: tools/call\r\nMcp-Name: sized\r\n`

/** Connects; `callSized` as that of a session. There is nothing to end but the connection. */
export async function openModern(url) {
  const connection = await openConnection(url)
  async function callSized(id, size) {
    const params = `{"name":"sized","arguments":{"size":${size}},"_meta":${META}}`
    const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":${params}}`
    const answer = await connection.exchange('POST', { head: HEAD, body })
    assertSized(answer, id, size)
    // The mark of the revision: without it the answer was passed on and not translated.
    if (!answer.body.includes('"resultType"')) throw new Error('the answer is none of a Modern server')
  }
  return { callSized, end: async () => connection.close(), close: connection.close, isSessionful: false }
}

/** Why a proxy does not serve Modern clients; undefined when it does. */
export async function whyNotModern(url) {
  let client
  try {
    client = await openModern(url)
    await client.callSized(1, 10)
    return undefined
  } catch (error) {
    return error.message
  } finally {
    client?.close()
  }
}
