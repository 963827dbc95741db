import { Readable } from 'node:stream'

/** One entry of an archive. */
export interface ArchiveEntry {
  /** Relative, with slashes. */
  path: string
  /** Permission bits. */
  mode: number
  content: { kind: 'file'; bytes: Buffer } | { kind: 'directory' } | { kind: 'symlink'; target: string }
}

const blockBytes = 512
/** Longer names go into an extended header of their own. */
const nameBytes = 100

/**
 * A tar archive of the given entries (POSIX ustar, with pax headers for names that
 * do not fit). Owner is root and time is zero, so that equal content makes equal archives.
 */
export function writeArchive(entries: Iterable<ArchiveEntry>): Readable {
  return Readable.from(blocksOf(entries), { objectMode: false })
}

function* blocksOf(entries: Iterable<ArchiveEntry>): Generator<Buffer> {
  for (const { path, mode, content } of entries) {
    const name = content.kind === 'directory' ? `${path}/` : path
    const link = content.kind === 'symlink' ? content.target : ''
    const extended = extendedRecords({ path: name, linkpath: link })
    if (extended.length > 0) {
      yield header({ name: 'pax', mode: 0o644, size: extended.length, type: 'x', link: '' })
      yield padded(extended)
    }
    const bytes = content.kind === 'file' ? content.bytes : Buffer.alloc(0)
    yield header({ name, mode, size: bytes.length, type: types[content.kind], link })
    yield padded(bytes)
  }
  // Two empty blocks end an archive.
  yield Buffer.alloc(2 * blockBytes)
}

const types = { file: '0', symlink: '2', directory: '5' } as const

function header(of: { name: string; mode: number; size: number; type: string; link: string }): Buffer {
  const block = Buffer.alloc(blockBytes)
  block.write(of.name.slice(0, nameBytes), 0, nameBytes, 'utf8')
  block.write(`${octal(of.mode, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100)
  block.write(`${octal(of.size, 11)}\0${octal(0, 11)}\0`, 124)
  block.write(' '.repeat(8), 148)
  block.write(of.type, 156)
  block.write(of.link, 157, nameBytes, 'utf8')
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\0 `, 148)
  return block
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

/** Names that do not fit, as `length key=value` lines in which the length counts itself. */
function extendedRecords(values: Readonly<Record<string, string>>): Buffer {
  const records = Object.entries(values).flatMap(([key, value]) => {
    if (Buffer.byteLength(value) <= nameBytes) return []
    const rest = ` ${key}=${value}\n`
    const bytes = Buffer.byteLength(rest)
    const guess = bytes + String(bytes).length
    return [`${bytes + String(guess).length}${rest}`]
  })
  return Buffer.from(records.join(''))
}

function padded(bytes: Buffer): Buffer {
  const over = bytes.length % blockBytes
  return over === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(blockBytes - over)])
}
