import { endianness } from 'node:os'
import { expect, it } from 'vitest'
import { keyringFilter } from './keyring-filter.ts'

const allow = 0x7fff0000
const notImplemented = 0x00050026

/** What the kernel would answer: the few instructions of classic BPF that the filter has. */
function run(architecture: number, number: number): number {
  const filter = keyringFilter()
  const read = (at: number): number => (endianness() === 'LE' ? filter.readUInt32LE(at) : filter.readUInt32BE(at))
  let value = 0
  for (let at = 0; at < filter.length; at += 8) {
    const code = endianness() === 'LE' ? filter.readUInt16LE(at) : filter.readUInt16BE(at)
    const operand = read(at + 4)
    const skipped = 8 * filter.readUInt8(at + 3)
    if (code === 0x20) value = operand === 4 ? architecture : number
    else if (code === 0x54) value = (value & operand) >>> 0
    else if (code === 0x06) return operand
    else {
      const holds = { 0x15: value === operand, 0x25: value > operand, 0x35: value >= operand }[code]
      expect(holds).toBeDefined()
      if (holds !== true) at += skipped
    }
  }
  throw new Error('the filter has no end')
}

it.each([
  ['x86-64', 0xc000003e, 248],
  ['x32', 0xc000003e, 0x40000000 + 248],
  ['i386', 0x40000003, 286],
  ['arm64', 0xc00000b7, 217],
  ['arm', 0x40000028, 309],
  ['riscv64', 0xc00000f3, 217],
])('on %s the three calls of the keyrings are not there, and all others are', (_name, architecture, first) => {
  expect([-1, 0, 1, 2, 3].map((more) => run(architecture, first + more))).toEqual([
    allow,
    notImplemented,
    notImplemented,
    notImplemented,
    allow,
  ])
  expect([0, 1, 500].map((number) => run(architecture, number))).toEqual([allow, allow, allow])
})

it('an unknown processor is let alone', () => {
  expect(run(0x80000016, 278)).toBe(allow)
})
