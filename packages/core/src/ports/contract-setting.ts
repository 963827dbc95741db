/** A place where an adapter keeps its things, fresh for every test. */
export interface ContractSetting<T> {
  /** One more adapter over the same place, as another process would open it. */
  open: () => T
}

/** Makes a fresh place. Cleaning up is the caller's affair (`afterEach`). */
export type ContractSetUp<T> = () => Promise<ContractSetting<T>>
