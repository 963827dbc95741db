import { isRecord } from './read-json.ts'
import { containerLimits } from './container-limits.ts'

/**
 * The objects of a progress stream, each as soon as its line is complete. The engine
 * ends every object with a line break and writes none inside. Throws for a line that is
 * no object or longer than `progressLineBytes`; a last line that is cut off is left out,
 * because the reader is told by the stream itself that it broke.
 */
export async function* readJsonStream(chunks: AsyncIterable<unknown>): AsyncGenerator<Record<string, unknown>> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    if (!Buffer.isBuffer(chunk)) continue
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(lineEnd); end >= 0; end = rest.indexOf(lineEnd)) {
      const line = rest.subarray(0, end).toString('utf8').trim()
      rest = rest.subarray(end + 1)
      if (line !== '') yield objectOf(line)
    }
    if (rest.length > containerLimits.progressLineBytes) throw new Error('a line of the progress is too long')
  }
  const line = rest.toString('utf8').trim()
  // Podman leaves the last line break out.
  if (line.endsWith('}')) yield objectOf(line)
}

const lineEnd = 0x0a

function objectOf(line: string): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch (error) {
    throw new Error('a line of the progress is not JSON', { cause: error })
  }
  if (!isRecord(parsed)) throw new Error('a line of the progress is not an object')
  return parsed
}
