import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StreamDemux, type OutputPiece } from './stream-demux.ts'

interface Frame {
  kind: 0 | 1 | 2
  payload: Uint8Array
}

const frames = fc.array(
  fc.record({ kind: fc.constantFrom<0 | 1 | 2>(0, 1, 2), payload: fc.uint8Array({ maxLength: 40 }) }),
  { maxLength: 12 },
)

function encode({ kind, payload }: Frame): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt8(kind, 0)
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

function textOf(pieces: OutputPiece[], stream: OutputPiece['stream']): Buffer {
  return Buffer.concat(pieces.filter((piece) => piece.stream === stream).map((piece) => piece.bytes))
}

/** Cuts bytes at any places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
}

describe('the output of a container', () => {
  it('comes out the same wherever its frames are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat()), (all, places) => {
        const demux = new StreamDemux()
        const pieces = cut(Buffer.concat(all.map(encode)), places).flatMap((chunk) => demux.push(chunk))
        const wanted = (kind: number): Buffer =>
          Buffer.concat(all.filter((frame) => frame.kind === kind).map((frame) => frame.payload))
        expect(textOf(pieces, 'stdout')).toEqual(wanted(1))
        expect(textOf(pieces, 'stderr')).toEqual(wanted(2))
        expect(demux.isAtBoundary).toBe(true)
      }),
    )
  })

  it('that ends inside a frame does not end at a boundary', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(), (payload, place) => {
        const bytes = encode({ kind: 1, payload })
        const demux = new StreamDemux()
        demux.push(bytes.subarray(0, 1 + (place % (bytes.length - 1))))
        expect(demux.isAtBoundary).toBe(false)
      }),
    )
  })

  it('in a frame of four gigabytes is handed on as it comes', () => {
    const header = Buffer.alloc(8, 0xff)
    header.fill(0, 0, 4)
    header.writeUInt8(1, 0)
    const demux = new StreamDemux()
    expect(demux.push(header)).toEqual([])
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const [piece] = demux.push(chunk)
    // The same memory, not a copy that waits for more.
    expect(piece?.bytes.buffer).toBe(chunk.buffer)
    expect(demux.isAtBoundary).toBe(false)
  })

  it('of a terminal, or anything else that is not in frames, is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 40 }), (bytes) => {
        fc.pre(bytes[0]! > 2 || bytes[1] !== 0 || bytes[2] !== 0 || bytes[3] !== 0)
        expect(() => new StreamDemux().push(Buffer.from(bytes))).toThrow('not in frames')
      }),
    )
    expect(() => new StreamDemux().push(Buffer.from('$ echo hello\r\n'))).toThrow('not in frames')
  })
})
