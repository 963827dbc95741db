import { testRunConfigStore } from '@thv/core/contracts'
import { createFileRunConfigStore } from './file-run-config-store.ts'
import { scratchDirectory } from './fixtures/scratch.ts'

testRunConfigStore('files', () => {
  const stateDirectory = scratchDirectory()
  return Promise.resolve({ open: () => createFileRunConfigStore({ stateDirectory }) })
})
