import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  startAuthorizationServer,
  type AuthorizationServer,
} from '../../../../test/fixtures/oauth/authorization-server.ts'
import { startProtectedServer, type ProtectedServer } from '../../../../test/fixtures/oauth/protected-server.ts'
import { authorization, begin, never, visit } from './fixtures/log-in.ts'
import { startScripted } from './fixtures/scripted-server.ts'

let authority: AuthorizationServer
let server: ProtectedServer
beforeAll(async () => {
  authority = await startAuthorizationServer()
  server = await startProtectedServer(authority)
})
afterEach(() => {
  authority.switches.callback = undefined
  authority.switches.tokenFault = undefined
})
afterAll(async () => {
  await Promise.all([authority.close(), server.close()])
})

/** A login whose callback is changed on the way, and what is said of it. */
async function failed(change: (callback: URL) => void): Promise<{ message: string; requests: number }> {
  const pending = await begin(server.url)
  const callback = await visit(pending)
  change(callback)
  const before = authority.tokenRequests.length
  const error: unknown = await authorization.finish(pending, callback, never).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'login-failed' })
  const message = error instanceof Error ? error.message : ''
  // Neither the code nor anything else of the login is told.
  for (const secret of [callback.searchParams.get('code') ?? '-', pending.codeVerifier, pending.state]) {
    expect(message).not.toContain(secret)
  }
  return { message, requests: authority.tokenRequests.length - before }
}

describe('an answer of the browser is refused, and its code is not used,', () => {
  it('when it belongs to another login', async () => {
    const { message, requests } = await failed((callback) => callback.searchParams.set('state', 'x'.repeat(43)))
    expect(message).toContain('another login')
    expect(requests).toBe(0)
  })

  it('when it does not name the issuer that promised to do so', async () => {
    const { message, requests } = await failed((callback) => callback.searchParams.delete('iss'))
    expect(message).toContain('is not one of')
    expect(requests).toBe(0)
  })

  it.each(['https://attacker.example', 'with a slash'])('when it names another issuer: %s', async (issuer) => {
    const { message, requests } = await failed((callback) =>
      callback.searchParams.set('iss', issuer.startsWith('https') ? issuer : `${authority.issuer}/`),
    )
    expect(message).not.toContain('attacker')
    expect(requests).toBe(0)
  })

  it('when it is an error of another issuer, which is not shown', async () => {
    const { message } = await failed(({ searchParams }) => {
      searchParams.delete('code')
      searchParams.set('iss', 'https://attacker.example')
      searchParams.set('error', 'call_this_number')
    })
    expect(message).not.toContain('call_this_number')
  })

  it('when it has a value twice', async () => {
    const { requests } = await failed((callback) => callback.searchParams.append('iss', 'https://attacker.example'))
    expect(requests).toBe(0)
  })
})

it('an error is shown without what could change the terminal, and not at any length', async () => {
  const { message } = await failed(({ searchParams }) => {
    searchParams.delete('code')
    searchParams.set('error', 'access_denied')
    searchParams.set('error_description', `\u001b[2J\r\n\u202e${'so sad '.repeat(10_000)}`)
  })
  expect(message).toMatch(/^[\x20-\x7e…]*$/)
  expect(message).toContain('access_denied')
  expect(message.length).toBeLessThan(600)
})

it('a redirect of the token endpoint is not followed: code and verifier stay', async () => {
  const other = await startScripted((_line, response) => response.writeHead(200).end())
  authority.switches.tokenFault = { status: 307, body: '', headers: { location: `${other.origin}/token` } }
  const { message } = await failed(() => {})
  expect(message).toContain('307')
  expect(other.received).toEqual([])
  await other.close()
})

it.each([
  ['{"access_token":"a b","token_type":"bearer"}', 'cannot be sent'],
  ['{"access_token":"a","token_type":"dpop"}', 'not of the kind Bearer'],
  ['{"token_type":"bearer"}', 'access_token'],
  ['<html>', 'JSON'],
])('an answer that is no token is told: %s', async (body, reason) => {
  authority.switches.tokenFault = { status: 200, body }
  expect((await failed(() => {})).message).toContain(reason)
})
