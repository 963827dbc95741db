import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createUserFiles } from './user-files.ts'
import { readCertificate } from './read-certificate.ts'

const never = new AbortController().signal
const [first = '', second = ''] = rootCertificates
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })

let file: string

beforeEach(async () => {
  file = join(await mkdtemp(join(tmpdir(), 'thv-cert-')), 'ca.pem')
})
afterEach(async () => await rm(join(file, '..'), { recursive: true }))

async function read(text: string): Promise<string> {
  await writeFile(file, text)
  return await readCertificate(createUserFiles(), file, never)
}

it('one or more certificates are taken as they stand', async () => {
  expect(await read(first)).toBe(first)
  expect(await read(`# ours\n${first}\n${second}\n`)).toBe(`# ours\n${first}\n${second}\n`)
})

it.each([
  ['has the key as well', `${first}\n${String(key)}`, 'a private key'],
  ['is a key', String(key), 'a private key'],
  ['has none', 'hello', 'no certificate in PEM'],
  ['has a broken one', `${first}\n${first.replace(/\n\w{10}/, '\nAAAAAAAAAA')}`, 'cannot be read'],
])('a file that %s is refused, and nothing of it repeated', async (_what, text, why) => {
  const error: unknown = await read(text).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining(why) })
  expect(JSON.stringify(error)).not.toContain(String(key).split('\n')[1])
})
