// An entry of its own: what speaks OAuth is needed by logins and by supervisors of servers that want one, and weighs more
// than most commands.
export { createRemoteAuthorization, type RemoteAuthorizationOptions } from './oauth/remote-authorization.ts'
