import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineSplitter } from './line-splitter.ts'

function collect(limitBytes = 1e6): { splitter: LineSplitter; lines: string[]; dropped: [string, string, number][] } {
  const lines: string[] = []
  const dropped: [string, string, number][] = []
  const splitter = new LineSplitter(limitBytes, {
    line: (text) => lines.push(text),
    oversize: (head, tail, bytes) => dropped.push([head, tail, bytes]),
  })
  return { splitter, lines, dropped }
}

describe('LineSplitter', () => {
  it('gives the same lines however the bytes are cut, also inside a character', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, ''))),
        fc.array(fc.nat(40)),
        (wanted, cuts) => {
          const { splitter, lines } = collect()
          let bytes = Buffer.from(wanted.map((line) => `${line}\n`).join(''))
          for (const cut of cuts) {
            splitter.push(bytes.subarray(0, cut))
            bytes = bytes.subarray(cut)
          }
          splitter.push(bytes)
          expect(lines).toEqual(wanted)
        },
      ),
    )
  })

  it('strips one carriage return at the end of a line', () => {
    const { splitter, lines } = collect()
    splitter.push(Buffer.from('a\r\nb\r'))
    splitter.push(Buffer.from('\nc\r\r\n'))
    expect(lines).toEqual(['a', 'b', 'c\r'])
  })

  it('drops a line over the limit, keeps its two ends, and goes on with the next', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), (size) => {
        const { splitter, lines, dropped } = collect(1000)
        const long = `<${'x'.repeat(3000)}>`
        const bytes = Buffer.from(`before\n${long}\nafter\n`)
        for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size))
        expect(lines).toEqual(['before', 'after'])
        const [[head, tail, count]] = dropped as [[string, string, number]]
        expect(count).toBe(3002)
        expect(head.startsWith('<xx') && head.length <= 256).toBe(true)
        expect(tail.endsWith('x>') && tail.length <= 256).toBe(true)
      }),
    )
  })

  it('takes a line of exactly the limit', () => {
    const { splitter, lines, dropped } = collect(4)
    splitter.push(Buffer.from('1234\n12345\n'))
    expect(lines).toEqual(['1234'])
    expect(dropped).toHaveLength(1)
  })

  it('gives an unfinished last line on flush', () => {
    const { splitter, lines } = collect()
    splitter.push(Buffer.from('last'))
    splitter.flush()
    splitter.flush()
    expect(lines).toEqual(['last'])
  })
})
