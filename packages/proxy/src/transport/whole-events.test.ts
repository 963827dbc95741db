import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeldBytes, Hold } from '../held-bytes.ts'
import { WholeEvents } from './whole-events.ts'

const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
const line = fc.stringMatching(/^[ -~]{0,12}$/).filter((text) => text !== '')
const event = fc.tuple(fc.array(line, { minLength: 1, maxLength: 3 }), lineEnd).map(([lines, end]) => {
  return lines.map((text) => text + end).join('') + end
})

describe('WholeEvents', () => {
  it('hands out every byte, and only whole events, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(event), fc.integer({ min: 1, max: 30 }), (events, size) => {
        const text = `${events.join('')}data: half`
        const ends = new Set<number>([0])
        for (let at = 0; at < events.length; at += 1) {
          const end = events.slice(0, at + 1).join('').length
          // The second half of the last CRLF may come with the next piece.
          ends.add(end).add(end - 1)
        }
        const whole = new WholeEvents(1_000, new Hold(new HeldBytes(1e9)))
        let out = ''
        for (let at = 0; at < text.length; at += size) {
          out += whole.push(Buffer.from(text.slice(at, at + size))).toString()
          expect(ends.has(out.length)).toBe(true)
        }
        expect(out + whole.rest().toString()).toBe(text)
      }),
    )
  })

  it('remembers the last id and forgets the half event of a stream that was cut', () => {
    const whole = new WholeEvents(1_000, new Hold(new HeldBytes(1e9)))
    whole.push(Buffer.from('id: 4\ndata: 1\n\nid: 5\nda'))
    expect(whole.lastId).toBe('4')
    whole.restart()
    expect(whole.push(Buffer.from('data: 2\n\n')).toString()).toBe('data: 2\n\n')
  })

  it('lets an event above the limit through in pieces and says so', () => {
    const whole = new WholeEvents(10, new Hold(new HeldBytes(1e9)))
    expect(whole.push(Buffer.from('data: 12345678')).toString()).toBe('data: 12345678')
    expect(whole.isWhole).toBe(false)
    whole.push(Buffer.from('9\n\n'))
    expect(whole.isWhole).toBe(true)
  })

  it('keeps no more than there is room for, and gives it back', () => {
    const held = new HeldBytes(20)
    const whole = new WholeEvents(1_000, new Hold(held))
    expect(whole.push(Buffer.from('data: 1\n\ndata: 2')).toString()).toBe('data: 1\n\n')
    expect(held.tryAdd(14)).toBe(false)
    expect(whole.push(Buffer.from('3456789012345678')).toString()).toBe('data: 23456789012345678')
    expect(whole.isWhole).toBe(false)
    expect(whole.push(Buffer.from('\n\nda')).toString()).toBe('\n\n')
    expect(whole.isWhole).toBe(true)
    whole.restart()
    expect(held.tryAdd(20)).toBe(true)
  })
})
