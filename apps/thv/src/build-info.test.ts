import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { proxyIdentity } from '@thv/proxy'

it('the proxy introduces itself to servers with the version of the program', () => {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  expect(proxyIdentity).toEqual({ name: 'thv', version: manifest.version })
})
