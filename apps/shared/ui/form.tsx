/** A form that sends one request. */
import { ProblemError } from "@delivery/client";
import { type FormEvent, type ReactNode, useEffect } from "react";
import { Form as AriaForm } from "react-aria-components";

import { useAction } from "./action";
import { Button } from "./button";
import { ErrorMessage } from "./problem";

/** Values of the form's fields by name. */
export type Values = Record<string, string>;

export interface FormProps<T> {
  /** Label of the submit button. */
  action: string;
  kind?: "primary" | "danger";
  onSubmit: (values: Values) => Promise<T>;
  onSuccess?: (result: T) => void;
  /** A change of this value removes the error of the last request. */
  resetKey?: unknown;
  children?: ReactNode;
}

/**
 * A form with its fields, the error of the request and a submit button.
 * Errors of the problem document that name a field are shown at the field of that name. A second submission is
 * ignored while the first one is in progress.
 */
export function Form<T>({ action, kind = "primary", onSubmit, onSuccess, resetKey, children }: FormProps<T>) {
  const { run, reset, error, isPending } = useAction({
    mutationFn: onSubmit,
    onSuccess: (result) => onSuccess?.(result),
  });
  useEffect(() => reset(), [reset, resetKey]);
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault();
    run(readValues(event.currentTarget));
  };
  return (
    <AriaForm className="form" onSubmit={submit} validationErrors={getFieldErrors(error)}>
      {children}
      <ErrorMessage error={error} />
      <Button type="submit" kind={kind} isPending={isPending}>
        {action}
      </Button>
    </AriaForm>
  );
}

/** Returns the values that are not empty, without spaces at their ends except in passwords. */
function readValues(form: HTMLFormElement): Values {
  const values: Values = {};
  for (const [name, value] of new FormData(form)) {
    const isPassword = form.querySelector(`[name="${CSS.escape(name)}"][type="password"]`) !== null;
    const text = typeof value !== "string" || isPassword ? value : value.trim();
    if (typeof text === "string" && text !== "") values[name] = text;
  }
  return values;
}

/** Returns the messages of a problem document by the name of the field, which is the end of its JSON pointer. */
function getFieldErrors(error: Error | null): Record<string, string[]> {
  const messages: Record<string, string[]> = {};
  if (!(error instanceof ProblemError)) return messages;
  for (const { field, message } of error.problem?.errors ?? []) {
    const name = field.slice(field.lastIndexOf("/") + 1);
    messages[name] = [...(messages[name] ?? []), message];
  }
  return messages;
}
