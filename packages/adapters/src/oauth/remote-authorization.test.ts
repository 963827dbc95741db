import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  startAuthorizationServer,
  type AuthorizationServer,
} from '../../../../test/fixtures/oauth/authorization-server.ts'
import { followForms } from '../../../../test/fixtures/oauth/follow-forms.ts'
import { startProtectedServer, type ProtectedServer } from '../../../../test/fixtures/oauth/protected-server.ts'
import { createRemoteAuthorization } from './remote-authorization.ts'

const redirectUri = 'http://127.0.0.1:8666/callback'
const never = new AbortController().signal
const client = createRemoteAuthorization({ dialerOf: () => undefined })

describe('a login', () => {
  let authority: AuthorizationServer
  let server: ProtectedServer
  beforeAll(async () => {
    authority = await startAuthorizationServer()
    server = await startProtectedServer(authority)
  })
  afterAll(async () => {
    await Promise.all([authority.close(), server.close()])
  })

  it('finds the authorization server, registers, logs in and refreshes', async () => {
    const plan = await client.discover({ url: server.url }, never)
    expect(plan).toMatchObject({ issuer: authority.issuer, resource: server.url })
    const pending = await client.begin(plan!, { redirectUri, scopes: [] }, never)
    const callback = await followForms(pending.authorizationUrl, pending)
    const grant = await client.finish(pending, callback, never)
    expect(grant).toMatchObject({ issuer: authority.issuer })
    const next = await client.refresh(grant, {}, never)
    expect(next.refreshToken).not.toBe(grant.refreshToken)
  })
})
