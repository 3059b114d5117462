import type { components } from "./schema.js";

/** The body of every error, by RFC 9457. */
export type Problem = components["schemas"]["Problem"];

/** An answer that is an error, for callers who would rather catch than look. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    readonly status: number,
    /** Nothing when what answered was not this API. */
    readonly problem: Problem | undefined,
    /** Seconds to wait before asking again, where the answer says so. */
    readonly retryAfter: number | undefined,
  ) {
    super(problem ? `${problem.reason}: ${problem.detail}` : `status ${status}`);
  }

  /** Reads an answer that is not ok. */
  static async of(response: Response): Promise<ProblemError> {
    const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
    const text = await response.text();
    return new ProblemError(response.status, isProblem ? (JSON.parse(text) as Problem) : undefined, patience(response));
  }
}

/** What `Retry-After` asks for, in seconds. */
export function patience(response: Response): number | undefined {
  const said = response.headers.get("retry-after");
  return said !== null && /^[0-9]+$/.test(said) ? Number(said) : undefined;
}

/** The data of a call, or its error thrown: `await unwrap(delivery.GET("/catalog"))`. */
export async function unwrap<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<NonNullable<T>> {
  const { data, error, response } = await call;
  if (error !== undefined || !response.ok) {
    const problem = typeof error === "object" && error !== null ? (error as Problem) : undefined;
    throw new ProblemError(response.status, problem, patience(response));
  }
  return data as NonNullable<T>;
}
