// The smallest HTTP/1.1 response reader the bench can do with: one response at a time on a keep-alive connection, a
// body of known length or chunked. A full client would cost more than some of the programs it measures.

const CRLF = Buffer.from('\r\n')
const HEAD_END = Buffer.from('\r\n\r\n')
const HEAD_LIMIT_BYTES = 64 * 1024

/** Reads responses from `push(chunk)`; `onResponse({ status, headers, body })` is called for each complete one. */
export function createResponseParser(onResponse) {
  let buffered = Buffer.alloc(0)
  let head
  let parts = []

  function push(chunk) {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk])
    while (step()) {
      // Every step consumes a head, a chunk or a body; the loop ends when more bytes are needed.
    }
  }

  function step() {
    if (head === undefined) return readHead()
    return head.isChunked ? readChunk() : readSized()
  }

  function readHead() {
    const end = buffered.indexOf(HEAD_END)
    if (end === -1) {
      if (buffered.length > HEAD_LIMIT_BYTES) throw new Error('response head is too large')
      return false
    }
    head = parseHead(buffered.toString('latin1', 0, end))
    buffered = buffered.subarray(end + HEAD_END.length)
    return true
  }

  function readSized() {
    if (buffered.length < head.length) return false
    const body = buffered.subarray(0, head.length)
    buffered = buffered.subarray(head.length)
    finish(body)
    return buffered.length > 0
  }

  function readChunk() {
    const lineEnd = buffered.indexOf(CRLF)
    if (lineEnd === -1) return false
    const size = Number.parseInt(buffered.toString('latin1', 0, lineEnd), 16)
    if (Number.isNaN(size)) throw new Error('bad chunk size')
    const next = lineEnd + CRLF.length + size + CRLF.length
    if (buffered.length < next) return false
    if (size > 0) parts.push(buffered.subarray(lineEnd + CRLF.length, next - CRLF.length))
    buffered = buffered.subarray(next)
    if (size === 0) finish(parts.length === 1 ? parts[0] : Buffer.concat(parts))
    return buffered.length > 0
  }

  function finish(body) {
    const { status, headers } = head
    head = undefined
    parts = []
    // An interim response (100, 103) announces the real one; it answers nothing.
    if (status >= 200) onResponse({ status, headers, body })
  }

  return { push }
}

function parseHead(text) {
  const [statusLine, ...lines] = text.split('\r\n')
  const status = Number(statusLine.split(' ')[1])
  if (!statusLine.startsWith('HTTP/1.1 ') || Number.isNaN(status)) throw new Error(`not an HTTP answer: ${statusLine}`)
  const headers = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const isBodyless = status < 200 || status === 204 || status === 304
  const isChunked = !isBodyless && headers['transfer-encoding']?.toLowerCase() === 'chunked'
  const length = isBodyless || isChunked ? 0 : Number(headers['content-length'])
  if (Number.isNaN(length)) throw new Error(`answer ${status} has neither a length nor chunks`)
  return { status, headers, isChunked, length }
}
