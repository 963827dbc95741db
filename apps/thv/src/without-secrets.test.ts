import { expect, it } from 'vitest'
import { withoutSecrets } from './without-secrets.ts'

it('programs of others get the environment without what is meant for thv alone', () => {
  const theirs = { PATH: '/bin', NPM_TOKEN: 'theirs', TOOLHIVE_DEBUG: '1', DOCKER_CONFIG: '/d', GITHUB_TOKEN: 'theirs' }
  const ours = {
    TOOLHIVE_SECRETS_PASSWORD: 'p',
    TOOLHIVE_SECRET_github: 's',
    Toolhive_Secret_x: 's',
    TOOLHIVE_REMOTE_AUTH_BEARER_TOKEN: 't',
    TOOLHIVE_REMOTE_OAUTH_CLIENT_SECRET: 's',
    TOOLHIVE_OIDC_CLIENT_SECRET: 's',
    OP_SERVICE_ACCOUNT_TOKEN: 't',
  }
  expect(withoutSecrets({ ...theirs, ...ours })).toEqual(theirs)
})
