/** Errors of requests, shown with the `detail` of the contract. */
import { ProblemError } from "@delivery/client";

import { shared } from "../messages";
import { Button } from "./button";

/** Returns the sentence about an error for the user. */
export function getErrorText(error: Error): string {
  if (error instanceof ProblemError) return error.problem?.detail ?? shared.unexpected;
  return error instanceof TypeError ? shared.offline : shared.unexpected;
}

/** Returns the reason of the problem document, or undefined for other errors. */
export function getReason(error: Error | null): string | undefined {
  return error instanceof ProblemError ? error.problem?.reason : undefined;
}

/** Announces an error. Without an error it renders nothing. */
export function ErrorMessage({ error, onRetry }: { error: Error | null; onRetry?: () => void }) {
  if (error === null) return null;
  const problem = error instanceof ProblemError ? error.problem : undefined;
  return (
    <div className="message error" role="alert">
      <p>{getErrorText(error)}</p>
      {problem !== undefined && problem.status >= 500 && <p className="dim">{shared.supportId(problem.trace_id)}</p>}
      {onRetry !== undefined && <Button onPress={onRetry}>{shared.retry}</Button>}
    </div>
  );
}
