/**
 * What each form of the option `security` says in libzmq's options. The forms
 * themselves are made in `Curve.ts`, `Plain.ts` and `Null.ts`.
 */

interface Form {
  /** How a program makes it. */
  readonly made: string
  readonly role?: "curveServer" | "plainServer"
  readonly required: Readonly<Record<string, string>>
  readonly optional: Readonly<Record<string, string>>
}

export const forms: ReadonlyMap<unknown, Form> = new Map<string, Form>([
  [
    "CurveServer",
    {
      made: "Curve.server",
      role: "curveServer",
      required: { secretKey: "curveSecretKey" },
      optional: { publicKey: "curvePublicKey", domain: "zapDomain" }
    }
  ],
  [
    "CurveClient",
    {
      made: "Curve.client",
      required: { serverKey: "curveServerKey", publicKey: "curvePublicKey", secretKey: "curveSecretKey" },
      optional: {}
    }
  ],
  ["PlainServer", { made: "Plain.server", role: "plainServer", required: { domain: "zapDomain" }, optional: {} }],
  [
    "PlainClient",
    { made: "Plain.client", required: { username: "plainUsername", password: "plainPassword" }, optional: {} }
  ],
  ["NullServer", { made: "Null.server", required: { domain: "zapDomain" }, optional: {} }]
])

/** The options that `security` stands in for. */
export const secured: ReadonlyArray<string> = [
  "plainServer",
  "plainUsername",
  "plainPassword",
  "curveServer",
  "curvePublicKey",
  "curveSecretKey",
  "curveServerKey",
  "zapDomain",
  "zapEnforceDomain"
]

export const expectedSecurity = `what ${[...forms.values()].map(({ made }) => made).join(", ")} make`
