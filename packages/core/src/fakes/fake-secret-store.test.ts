import { testSecretStore } from '../ports/secret-store.contract.ts'
import { createFakeSecretStore } from './fake-secret-store.ts'

testSecretStore('memory', async () => {
  const store = createFakeSecretStore()
  return await Promise.resolve({ open: () => store })
})
