import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createKernelKeyring } from './kernel-keyring.ts'

const { signal } = new AbortController()
let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'thv-keyctl-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('the keyring of this kernel', () => {
  it('keeps a password under the name that ToolHive uses, and forgets it', async (context) => {
    const service = `thv-unit-${randomUUID()}`
    const keeper = createKernelKeyring(process.env['PATH'] ?? '', service)
    const kept = await keeper.keep('first', signal)
    if (!kept) context.skip('missing: keyctl, or a kernel with keyrings')
    try {
      expect(await keeper.keep('second', signal)).toBe(true)
      expect(await createKernelKeyring(process.env['PATH'] ?? '', service).read(signal)).toEqual({ password: 'second' })
      const id = spawnSync('keyctl', ['search', '@u', 'user', `${service}:toolhive`], {
        encoding: 'utf8',
      }).stdout.trim()
      expect(spawnSync('keyctl', ['pipe', id], { encoding: 'utf8' }).stdout).toBe('second')
      expect(spawnSync('keyctl', ['search', '@u', 'user', `${service}-test:toolhive`]).status).not.toBe(0)
    } finally {
      expect(await keeper.forget(signal)).toBe(true)
    }
    expect(await keeper.read(signal)).toEqual({})
    expect(await keeper.forget(signal)).toBe(false)
  })
})

describe('keyctl', () => {
  it('that is not installed keeps nothing', async () => {
    const keeper = createKernelKeyring(directory)
    expect(await keeper.read(signal)).toEqual({})
    expect(await keeper.keep('p', signal)).toBe(false)
    expect(await keeper.forget(signal)).toBe(false)
  })

  it('is never told the password by its arguments or its environment', async () => {
    const log = join(directory, 'log')
    program(`{ printf '%s\\n' "$@"; /usr/bin/env; } >> ${log}\ncat > ${directory}/in-$3\nexit 1`)
    process.env['TOOLHIVE_SECRETS_PASSWORD'] = 'hidden-in-environment'
    try {
      await createKernelKeyring(directory).keep('hidden-password', signal)
    } finally {
      delete process.env['TOOLHIVE_SECRETS_PASSWORD']
    }
    expect(readFileSync(log, 'utf8')).toContain('padd')
    expect(readFileSync(log, 'utf8')).not.toContain('hidden')
  })

  it('that adds a key and cannot read it again keeps nothing', async () => {
    program('cat > /dev/null; case "$1" in padd|search) echo 7 ;; *) echo "Permission denied" >&2; exit 1 ;; esac')
    const keeper = createKernelKeyring(directory)
    expect(await keeper.keep('p', signal)).toBe(false)
    expect(await keeper.read(signal)).toEqual({ problem: 'says "Permission denied"' })
  })

  it('is not given more than ToolHive could read', async () => {
    program('cat > /dev/null; echo 7')
    expect(await createKernelKeyring(directory).keep('p'.repeat(2_049), signal)).toBe(false)
  })

  it('is ended with who waits for it', async () => {
    program('exec /bin/sleep 60')
    const leaving = new AbortController()
    const reading = createKernelKeyring(directory).read(leaving.signal)
    leaving.abort(new Error('gone'))
    await expect(reading).rejects.toThrow('gone')
  })
})

function program(script: string): void {
  const path = join(directory, 'keyctl')
  writeFileSync(path, `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`)
  chmodSync(path, 0o755)
}
