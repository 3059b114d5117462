/** Actions of buttons and forms. */
import { useMutation, type UseMutationOptions } from "@tanstack/react-query";
import { useRef } from "react";

type Options<T, V> = Pick<
  UseMutationOptions<T, Error, V>,
  "mutationFn" | "retry" | "retryDelay" | "onSuccess" | "onSettled"
>;

/**
 * A mutation whose `run` ignores calls while one is in progress. The state of the mutation changes only after the
 * second click of a double click.
 */
export function useAction<T, V = void>(options: Options<T, V>) {
  const isBusy = useRef(false);
  const mutation = useMutation<T, Error, V>({
    ...options,
    onSettled: (...results) => {
      isBusy.current = false;
      return options.onSettled?.(...results);
    },
  });
  const run = (value: V): void => {
    if (isBusy.current) return;
    isBusy.current = true;
    mutation.mutate(value);
  };
  return { ...mutation, run };
}
