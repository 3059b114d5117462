/** Routes of the shop. */
import { createRootRoute, createRoute, createRouter, Link, Outlet } from "@tanstack/react-router";

import { startApp } from "../shared/start";
import { Frame, Page } from "../shared/ui";

const root = createRootRoute({
  component: () => (
    <Frame name={<Link to="/">Delivery</Link>} navigation={null}>
      <Outlet />
    </Frame>
  ),
});
const index = createRoute({ getParentRoute: () => root, path: "/", component: () => <Page title="Shop" /> });
const router = createRouter({ routeTree: root.addChildren([index]), basepath: "/shop" });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

startApp(router);
