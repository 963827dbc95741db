import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { limits } from '@thv/core'
import { describe, expect, it } from 'vitest'
import { createLineMemory, readLines } from './output-lines.ts'

async function linesOf(chunks: (string | Buffer)[]): Promise<string[]> {
  const stream = new PassThrough()
  const lines: string[] = []
  readLines(stream, (line) => void lines.push(line))
  for (const chunk of chunks) stream.write(chunk)
  stream.end()
  await once(stream, 'close')
  return lines
}

describe('lines of output', () => {
  it('come whole, however the chunks are cut', async () => {
    expect(await linesOf(['a', 'b\nc', '\r\n', '\n', 'last'])).toEqual(['ab', 'c', '', 'last'])
  })

  it('keep characters together that are cut between chunks', async () => {
    const euro = Buffer.from('€\n')
    expect(await linesOf([euro.subarray(0, 1), euro.subarray(1)])).toEqual(['€'])
  })

  it('are cut when they are too long, and the next is whole again', async () => {
    const [long, next] = await linesOf(['x'.repeat(3_000), 'y'.repeat(3_000), '\nnext\n'])
    expect(long).toBe('x'.repeat(limits.stderrLineLength))
    expect(next).toBe('next')
  })

  it('are remembered up to a number, oldest first', () => {
    const memory = createLineMemory()
    for (let index = 0; index < 50; index += 1) memory.add(String(index))
    expect(memory.lines()).toHaveLength(limits.stderrLines)
    expect(memory.lines()[0]).toBe(String(50 - limits.stderrLines))
  })
})
