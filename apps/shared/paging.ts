/** Lists of the API, whose pages are requested with the token of the previous page. */
import { type InfiniteData, infiniteQueryOptions } from "@tanstack/react-query";

export interface ListPage<T> {
  items: T[];
  next_page_token?: string;
}

/** Options of an infinite query. `load` requests the page of a token, and the first page without one. */
export function listQuery<T>(key: readonly unknown[], load: (query: { page_token?: string }) => Promise<ListPage<T>>) {
  return infiniteQueryOptions({
    queryKey: key,
    queryFn: ({ pageParam }) => load(pageParam === undefined ? {} : { page_token: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next_page_token }) => next_page_token,
  });
}

/** Returns the items of all loaded pages. */
export function getItems<T>(data: InfiniteData<ListPage<T>> | undefined): T[] {
  return data?.pages.flatMap(({ items }) => items) ?? [];
}
