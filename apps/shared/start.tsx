/** Start of an app: providers, router, and the removal of cached data at the end of a session. */
import { QueryClientProvider } from "@tanstack/react-query";
import { type AnyRouter, RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { I18nProvider } from "react-aria-components";
import { createRoot } from "react-dom/client";

import { queryClient } from "./api";
import { LOCALE } from "./language";
import { session } from "./session";

import "./styles.css";

/** Renders the app into `<div id="app">`. */
export function startApp(router: AnyRouter): void {
  let userId = session.get()?.user_id;
  session.subscribe(() => {
    if (session.get()?.user_id === userId) return;
    userId = session.get()?.user_id;
    queryClient.clear();
    void router.invalidate();
  });
  const root = document.getElementById("app");
  if (root === null) throw new Error("the page has no element with the id app");
  createRoot(root).render(
    <StrictMode>
      <I18nProvider locale={LOCALE}>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </I18nProvider>
    </StrictMode>,
  );
}
