import type { SecretStore } from '../ports/secret-store.ts'

/** Secrets in memory. */
export function createFakeSecretStore(secrets = new Map<string, string>()): SecretStore {
  let revision = 0
  return {
    get: async (name) => secrets.get(name),
    list: async () => [...secrets.keys()].sort(),
    update: async (change) => {
      for (const [name, value] of change(new Map(secrets))) {
        if ((secrets.get(name) ?? null) === value) continue
        if (value === null) secrets.delete(name)
        else secrets.set(name, value)
        revision += 1
      }
    },
    revision: async () => String(revision),
  }
}
