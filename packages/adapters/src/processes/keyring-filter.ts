import { endianness } from 'node:os'

/** The descriptor by which bubblewrap is given {@link keyringFilter}. */
export const filterDescriptor = 9

/**
 * A system call filter (seccomp, classic BPF) that knows one thing: the kernel's keyrings do
 * not exist. Namespaces do not part them, and a server would read every key of the session
 * that started it. On processors that are not listed it lets everything pass. Pure.
 */
export function keyringFilter(): Buffer {
  return Buffer.concat([load(architectureAt), ...processors.flatMap(blockOf), answer(allow)])
}

/** By the number of the processor in `linux/audit.h`: the first of `add_key`, `request_key` and `keyctl`, which follow each other. */
const processors = [
  { architecture: 0xc000003e, first: 248 }, // x86-64
  { architecture: 0x40000003, first: 286 }, // i386
  { architecture: 0xc00000b7, first: 217 }, // arm64
  { architecture: 0x40000028, first: 309 }, // arm
  { architecture: 0xc00000f3, first: 217 }, // riscv64
]

// `struct seccomp_data` and the answers of `linux/seccomp.h`.
const numberAt = 0
const architectureAt = 4
const allow = 0x7fff0000
const notImplemented = 0x00050000 | 38
/** The x32 calls of x86-64 are the same ones with this bit. */
const withoutX32 = 0xbfffffff

function blockOf({ architecture, first }: { architecture: number; first: number }): Buffer[] {
  return [
    jumpUnless(0x15, architecture, 6), // equal, or to the next processor
    load(numberAt),
    instruction(0x54, withoutX32),
    jumpUnless(0x35, first, 1), // at least the first, or allow
    jumpUnless(0x25, first + 2, 1), // above the last, or refuse
    answer(allow),
    answer(notImplemented),
  ]
}

function load(offset: number): Buffer {
  return instruction(0x20, offset)
}

function answer(value: number): Buffer {
  return instruction(0x06, value)
}

/** Goes on when the comparison holds, and skips as many instructions when it does not. */
function jumpUnless(code: number, operand: number, skipped: number): Buffer {
  return instruction(code, operand, skipped)
}

function instruction(code: number, operand: number, skipped = 0): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt8(skipped, 3)
  if (endianness() === 'LE') {
    bytes.writeUInt16LE(code, 0)
    bytes.writeUInt32LE(operand, 4)
  } else {
    bytes.writeUInt16BE(code, 0)
    bytes.writeUInt32BE(operand, 4)
  }
  return bytes
}
