/** All workloads, by their letter. A row's process loads only its own. */
import type { Workload } from "./row.ts"

const load: Record<string, () => Promise<{ readonly workload: Workload }>> = {
  a: () => import("./workloads/a-seed.ts"),
  b: () => import("./workloads/b-storm.ts"),
  c: () => import("./workloads/c-busy.ts"),
  d: () => import("./workloads/d-sends.ts"),
  e: () => import("./workloads/e-requests.ts"),
  f: () => import("./workloads/f-router.ts"),
  g: () => import("./workloads/g-pyzmq.ts"),
  h: () => import("./workloads/h-sigkill.ts"),
  i: () => import("./workloads/i-network.ts"),
  j: () => import("./workloads/j-malformed.ts"),
  k: () => import("./workloads/k-soak.ts"),
  l: () => import("./workloads/l-acquire.ts"),
  m: () => import("./workloads/m-others.ts"),
  n: () => import("./workloads/n-ends.ts"),
  o: () => import("./workloads/o-effects.ts"),
  p: () => import("./workloads/p-rpc.ts"),
  q: () => import("./workloads/q-cluster.ts")
}

export const ids = Object.keys(load)

export const loadWorkload = async (id: string): Promise<Workload> => (await load[id]!()).workload
