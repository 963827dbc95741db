/** Variables that are meant for thv alone: passwords, tokens, and secrets of users. */
const secretVariables =
  /^(?:TOOLHIVE_SECRETS?_.*|TOOLHIVE_REMOTE_.*(?:SECRET|TOKEN)|TOOLHIVE_.*_CLIENT_SECRET|OP_SERVICE_ACCOUNT_TOKEN)$/i

/** An environment for programs that others have written. */
export function withoutSecrets(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !secretVariables.test(name)))
}
