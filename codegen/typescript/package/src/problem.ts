import type { components } from "./schema.js";

/** Body of all error responses, RFC 9457. */
export type Problem = components["schemas"]["Problem"];

/** Error response as an exception. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    readonly status: number,
    /** Undefined if the response did not come from this API, for example from a proxy. */
    readonly problem: Problem | undefined,
    /** Value of `Retry-After` in seconds, if present. */
    readonly retryAfter: number | undefined,
  ) {
    super(problem ? `${problem.reason}: ${problem.detail}` : `status ${status}`);
  }

  /** Creates the error from an unsuccessful response. */
  static async of(response: Response): Promise<ProblemError> {
    const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
    const text = await response.text();
    const problem = isProblem ? (JSON.parse(text) as Problem) : undefined;
    return new ProblemError(response.status, problem, parseRetryAfter(response));
  }
}

/** Returns the value of `Retry-After` in seconds. */
export function parseRetryAfter(response: Response): number | undefined {
  const value = response.headers.get("retry-after");
  return value !== null && /^[0-9]+$/.test(value) ? Number(value) : undefined;
}

/** Returns the data of a call, or throws a ProblemError: `await unwrap(__name__.GET("/titles"))`. */
export async function unwrap<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<NonNullable<T>> {
  const { data, error, response } = await call;
  if (error !== undefined || !response.ok) {
    const problem = typeof error === "object" && error !== null ? (error as Problem) : undefined;
    throw new ProblemError(response.status, problem, parseRetryAfter(response));
  }
  return data as NonNullable<T>;
}
