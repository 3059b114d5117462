/** Frame of all pages, and the states of a page whose data is loaded. */
import type { UseInfiniteQueryResult, UseQueryResult } from "@tanstack/react-query";
import { Link, useLocation } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";

import { shared } from "../messages";
import { Button } from "./button";
import { ErrorMessage } from "./problem";

/** Header with navigation, and the main content. */
export function Frame({ name, navigation, children }: { name: string; navigation: ReactNode; children: ReactNode }) {
  return (
    <>
      <a className="skip" href="#main">
        {shared.skipToContent}
      </a>
      <header className="top">
        <Link to="/" className="name">
          {name}
        </Link>
        <nav>{navigation}</nav>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

/** A page with its title, which receives the focus after a navigation so that screen readers announce it. */
export function Page({ title, children }: { title: string; children?: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    document.title = title;
  }, [title]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, [pathname]);
  return (
    <>
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </>
  );
}

/** The page of an address that no route matches. */
export function NotFoundPage() {
  return <Page title={shared.pageNotFound} />;
}

export function Loading() {
  return (
    <p className="dim" role="status">
      {shared.loading}
    </p>
  );
}

/** The result of a query: loading, its error with a button to try again, or its data. */
export function QueryView<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.error !== null) return <ErrorMessage error={query.error} onRetry={() => void query.refetch()} />;
  return <Loading />;
}

/** Error and button of a list whose pages are loaded one after the other. */
export function MoreButton({ query }: { query: UseInfiniteQueryResult }) {
  return (
    <>
      <ErrorMessage error={query.error} onRetry={() => void query.refetch()} />
      {query.isPending && <Loading />}
      {query.hasNextPage && (
        <Button isPending={query.isFetchingNextPage} onPress={() => void query.fetchNextPage()}>
          {shared.more}
        </Button>
      )}
    </>
  );
}
