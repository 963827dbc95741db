const typeA = 1
const nameError = 3
const notImplemented = 4
const serverFailure = 2

/**
 * The answer to one DNS query (RFC 1035): an address for a name, nothing for any other
 * type, so that programs do not wait for IPv6. `addressOf` gives four numbers, or
 * undefined when there is no address left. Undefined for what is no query.
 */
export function answerDns(
  query: Buffer,
  addressOf: (name: string) => readonly number[] | undefined,
): Buffer | undefined {
  if (query.length < 12 || (query.readUInt8(2) & 0x80) !== 0) return undefined
  const question = readQuestion(query)
  const isPlain = (query.readUInt8(2) & 0x78) === 0 && query.readUInt16BE(4) === 1
  if (question === undefined || !isPlain) return reply(query.subarray(0, 12), notImplemented)
  const { name, type, end } = question
  const asked = query.subarray(0, end)
  if (name.endsWith('.arpa')) return reply(asked, nameError)
  if (type !== typeA) return reply(asked, 0)
  const address = addressOf(name)
  if (address === undefined) return reply(asked, serverFailure)
  // A pointer to the question's name, type A, class IN, five seconds, four bytes.
  return reply(asked, 0, Buffer.from([0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 5, 0, 4, ...address]))
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } | undefined {
  const labels: string[] = []
  let at = 12
  for (;;) {
    const length = query[at]
    // A question has nothing to point back to, and no name is longer than 255 bytes.
    if (length === undefined || length > 63 || at > 12 + 255) return undefined
    at += 1
    if (length === 0) break
    labels.push(query.toString('latin1', at, at + length))
    at += length
  }
  if (labels.length === 0 || at + 4 > query.length) return undefined
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at), end: at + 4 }
}

function reply(asked: Buffer, code: number, answer: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.from(asked)
  // Response, with recursion as asked and available.
  head.writeUInt8(0x80 | (head.readUInt8(2) & 0x01), 2)
  head.writeUInt8(0x80 | code, 3)
  head.writeUInt16BE(asked.length > 12 ? 1 : 0, 4)
  head.writeUInt16BE(answer.length > 0 ? 1 : 0, 6)
  head.writeUInt32BE(0, 8)
  return Buffer.concat([head, answer])
}
