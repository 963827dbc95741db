import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { limits } from '@thv/core'

/**
 * Splits a stream into lines and hands each out without its line end. A line above
 * `limits.stderrLineLength` is cut there and its rest dropped, so that a server that
 * never ends a line cannot fill the memory.
 */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  const decoder = new StringDecoder('utf8')
  let kept = ''
  let some = false
  function take(text: string): void {
    const parts = text.split('\n')
    for (const [index, part] of parts.entries()) {
      if (index > 0) end()
      if (part === '') continue
      some = true
      if (kept.length < limits.stderrLineLength) kept += part.slice(0, limits.stderrLineLength - kept.length)
    }
  }
  function end(): void {
    const line = kept.endsWith('\r') ? kept.slice(0, -1) : kept
    kept = ''
    some = false
    onLine(line)
  }
  stream.on('data', (chunk: Buffer) => {
    take(decoder.write(chunk))
  })
  stream.once('close', () => {
    take(decoder.end())
    if (some) end()
  })
}

/** Keeps the last `limits.stderrLines` lines. */
export function createLineMemory(): { add(line: string): void; lines(): string[] } {
  const kept: string[] = []
  return {
    add(line) {
      kept.push(line)
      if (kept.length > limits.stderrLines) kept.shift()
    },
    lines() {
      return [...kept]
    },
  }
}
