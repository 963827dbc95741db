/**
 * A value as it stands in an MCP header of 2026-07-28: what is no plain text, and
 * what looks as if it were wrapped already, is wrapped in base64.
 */
export function encodeHeaderValue(value: string): string {
  const isPlain = /^[\u0020-\u007e\t]*$/.test(value) && value.trim() === value && !wrapped.test(value)
  return isPlain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`
}

/** The value that stands in an MCP header. */
export function decodeHeaderValue(header: string): string {
  const [, base64] = wrapped.exec(header) ?? []
  return base64 === undefined ? header : Buffer.from(base64, 'base64').toString('utf8')
}

const wrapped = /^=\?base64\?(.*)\?=$/
