import { testGroupStore } from '@thv/core/contracts'
import { createFileGroupStore } from './file-group-store.ts'
import { scratchDirectory } from './fixtures/scratch.ts'

testGroupStore('files', () => {
  const stateDirectory = scratchDirectory()
  return Promise.resolve({ open: () => createFileGroupStore({ stateDirectory }) })
})
