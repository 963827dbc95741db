export type { ContractSetting, ContractSetUp } from './contract-setting.ts'
export { testGroupStore } from './group-store.contract.ts'
export { testRunConfigStore } from './run-config-store.contract.ts'
export { testStatusStore } from './status-store.contract.ts'
