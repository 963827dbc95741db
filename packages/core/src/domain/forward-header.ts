import { ThvError } from '../errors.ts'

/** Throws `invalid-argument` for a header that may not be added to every request to a remote server. */
export function assertForwardHeader(name: string, value: string): void {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw refused(`'${name}' is no name of a header`)
  if (restricted.has(name.toLowerCase())) throw refused(`'${name}' is set by the proxy alone`)
  // Latin-1 without controls; the value is not repeated, because it is most likely a key.
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
    throw refused(`the value of '${name}' has a character that no header can hold`)
}

/** Reads `Name=Value`. Throws `invalid-argument`. */
export function parseForwardHeader(text: string): [name: string, value: string] {
  const mark = text.indexOf('=')
  if (mark < 1) throw refused('a header is written Name=Value')
  const [name, value] = [text.slice(0, mark).trim(), text.slice(mark + 1).trim()]
  assertForwardHeader(name, value)
  return [name, value]
}

/** Reads the token in a file or a variable. Undefined for what no header can hold. */
export function parseBearerToken(text: string): string | undefined {
  const token = text.trim()
  return /^[\x21-\x7e]+$/.test(token) ? token : undefined
}

/** Spec/local 3.9, and what frames a message of MCP. */
const restricted: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
  'proxy-authorization',
  'proxy-authenticate',
  'proxy-connection',
  'transfer-encoding',
  'content-length',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'content-type',
  'accept',
  'expect',
  'mcp-session-id',
  'mcp-protocol-version',
])

function refused(why: string): ThvError {
  return new ThvError('invalid-argument', `a header for the remote server cannot be used: ${why}`, {
    hint: "write --remote-forward-headers 'X-Team=notes'",
  })
}
