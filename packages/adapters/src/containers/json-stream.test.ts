import fc from 'fast-check'
import { expect, it } from 'vitest'
import { containerLimits } from './container-limits.ts'
import { readJsonStream } from './json-stream.ts'

async function read(chunks: Buffer[]): Promise<unknown[]> {
  const found = []
  for await (const one of readJsonStream(streamOf(chunks))) found.push(one)
  return found
}

async function* streamOf(chunks: Buffer[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield chunk
}

it('objects come out the same wherever the stream is cut', async () => {
  const objects = fc.array(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.constant(null))))
  await fc.assert(
    fc.asyncProperty(objects, fc.array(fc.nat()), async (all, places) => {
      const bytes = Buffer.from(all.map((one) => `${JSON.stringify(one)}\r\n`).join(''))
      const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
      const chunks = sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
      expect(await read(chunks)).toEqual(all.map((one) => JSON.parse(JSON.stringify(one))))
    }),
  )
})

it('a last line without its end counts when it is whole, and not when it is cut', async () => {
  expect(await read([Buffer.from('{"a":1}\n{"b":2}')])).toEqual([{ a: 1 }, { b: 2 }])
  expect(await read([Buffer.from('{"a":1}\n{"b":')])).toEqual([{ a: 1 }])
})

it.each(['<html>\n', '[1]\n', 'null\n', '"x"\n'])('%j is no progress', async (text) => {
  await expect(read([Buffer.from(text)])).rejects.toThrow('a line of the progress')
})

it('a line without end is given up', async () => {
  const chunk = Buffer.alloc(containerLimits.progressLineBytes / 2, 'x')
  await expect(read([chunk, chunk, chunk])).rejects.toThrow('too long')
})
